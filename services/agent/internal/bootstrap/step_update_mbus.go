package bootstrap

import (
	"context"
	"errors"
	"io/fs"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// updated is what the action update_settings has stored; it wins over env, and
// env over the top level.
type updated struct {
	Mbus struct {
		URLs []string `json:"urls"`
		Cert Cert     `json:"cert"`
	} `json:"mbus"`
	Blobstores []messages.Blobstore `json:"blobstores"`
}

func (b *boot) updated() (u updated, err error) {
	err = home.ReadJSON(b.Home.Bosh("update_settings.json"), &u)
	if errors.Is(err, fs.ErrNotExist) {
		return u, nil
	}
	return u, err
}

func updateMbus(_ context.Context, b *boot) (err error) {
	b.Mbus, err = b.mbus()
	return err
}

func (b *boot) mbus() (m Mbus, err error) {
	u, err := b.updated()
	if err != nil {
		return m, err
	}
	m.Cert = b.env.Bosh.Mbus.Cert
	if u.Mbus.Cert != (Cert{}) {
		m.Cert = u.Mbus.Cert
	}
	switch {
	case len(u.Mbus.URLs) > 0:
		m.URLs = u.Mbus.URLs
	case len(b.env.Bosh.Mbus.URLs) > 0:
		m.URLs = b.env.Bosh.Mbus.URLs
	case b.Settings.Mbus != "":
		m.URLs = []string{b.Settings.Mbus}
	case b.DefaultMbus != "":
		m.URLs = []string{b.DefaultMbus}
	default:
		return m, errors.New("the settings name no mbus")
	}
	return m, nil
}
