package bootstrap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// FileSource reads user data or settings from a file.
type FileSource struct {
	Path     string
	Registry Registry
}

// Name says which.
func (s FileSource) Name() string { return "file " + s.Path }

// Fetch reads it. Settings may stand in it, or the way to the registry.
func (s FileSource) Fetch(ctx context.Context) (Found, error) {
	data, err := home.ReadFile(s.Path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = permanent{err}
		}
		return Found{}, err
	}
	return fromUserData(ctx, data, s.Registry)
}

// fromUserData takes the settings merged into user data, else those that the
// registry named there has.
func fromUserData(ctx context.Context, data []byte, registry Registry) (Found, error) {
	var user messages.UserData
	switch trimmed := bytes.TrimSpace(data); {
	case len(trimmed) == 0:
		return Found{}, permanent{errors.New("the user data is empty")}
	case trimmed[0] == '<':
		return Found{}, permanent{errors.New("cannot parse user data: it is a web page, so somebody else than the metadata service answered")}
	}
	if err := json.Unmarshal(data, &user); err != nil {
		return Found{}, permanent{fmt.Errorf("cannot parse user data: %w", err)}
	}
	var found Found
	var err error
	if user.AgentID != "" {
		found, err = parseSettings(data)
	} else {
		found, err = registry.fetch(ctx, user)
	}
	if err != nil {
		return Found{}, err
	}
	if user.OpenSSH != nil && user.OpenSSH.PublicKey != "" {
		found.Keys = []string{user.OpenSSH.PublicKey}
	}
	return found, nil
}
