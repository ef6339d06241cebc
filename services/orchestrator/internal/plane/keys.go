package plane

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

// rotation is one that has begun: what its files held then, by their digests, in
// rotating-<what>.json until it is over. A second rotation forgets what the first
// one kept, so one that was killed has to be finished and not begun again.
type rotation struct {
	path   string
	Before map[string]string `json:"before"`
}

func (p *Plane) begin(what string, files ...string) (*rotation, error) {
	r := &rotation{path: p.path("rotating-" + what + ".json"), Before: map[string]string{}}
	b, err := os.ReadFile(r.path)
	if err == nil && json.Unmarshal(b, r) == nil {
		return r, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read what was rotated: %w", err)
	}
	for _, file := range files {
		if r.Before[file], err = digest(file); err != nil {
			return nil, err
		}
	}
	if b, err = json.Marshal(r); err != nil {
		return nil, fmt.Errorf("cannot encode what is rotated: %w", err)
	}
	_, err = write(r.path, b, 0o600)
	return r, err
}

// once replaces a file unless this rotation has done so.
func (r *rotation) once(file string, replace func() error) error {
	now, err := digest(file)
	if err != nil || now != r.Before[file] {
		return err
	}
	return replace()
}

func (r *rotation) end() error {
	if err := os.Remove(r.path); err != nil {
		return fmt.Errorf("cannot end the rotation: %w", err)
	}
	return nil
}

// digest is "" for a file that is not there.
func digest(path string) (string, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot read what is to be rotated: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

func (p *Plane) rotateIssuer() error {
	keys := p.keys(messages.RoleRegistry)
	r, err := p.begin(Issuer, embed.IssuerFile(keys))
	if err == nil {
		err = r.once(embed.IssuerFile(keys), func() error { return embed.RotateIssuer(keys) })
	}
	if err == nil && !p.one { // the embedded bus has no configuration
		_, err = p.configure()
	}
	if err != nil {
		return err
	}
	return r.end()
}

func (p *Plane) rotateRole(role messages.Role) error {
	keys := p.keys(role)
	user, curve := filepath.Join(keys, role+".nk"), filepath.Join(keys, role+".xk")
	warden, credential := filepath.Join(keys, embed.Warden+".nk"), p.credential(role)
	r, err := p.begin(role, user, curve, warden, credential)
	if err != nil {
		return err
	}
	if err := r.once(user, func() error { return embed.RotateUser(keys, role) }); err != nil {
		return err
	}
	if slices.Contains(embed.SealRoles(), role) {
		if err := p.rotateCurve(r, role, curve); err != nil {
			return err
		}
	}
	if role == messages.RoleRegistry {
		if err := r.once(warden, func() error { return embed.RotateUser(keys, embed.Warden) }); err != nil {
			return err
		}
		if err := p.rotateCredential(r, credential); err != nil {
			return err
		}
	}
	if !p.one {
		if err := p.certify(role); err != nil {
			return err
		}
		if _, err := p.configure(); err != nil {
			return err
		}
	}
	return r.end()
}

func (p *Plane) rotateCurve(r *rotation, role messages.Role, file string) error {
	err := r.once(file, func() error {
		_, err := seal.Rotate(p.keys(role), role)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := seal.OpenRing(p.keys(role), role); err != nil { // the public key may be that of before
		return err
	}
	return p.share(role)
}

// rotateCredential replaces the credential of the registry's HTTP API, which CPIs
// have too: first where it is checked.
func (p *Plane) rotateCredential(r *rotation, path string) error {
	present, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && p.one { // the registry makes it when it starts
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the registry's credential: %w", err)
	}
	fresh := present
	err = r.once(path, func() error {
		if _, err := write(daemon.OldCredentialFile(path), present, 0o600); err != nil {
			return err
		}
		fresh = newCredential()
		_, err := write(path, fresh, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	_, err = write(p.credential(messages.RoleCPI), fresh, 0o600)
	return err
}
