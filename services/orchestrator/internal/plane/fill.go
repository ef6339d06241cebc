package plane

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/cert"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

// readers tells which roles seal to a role, and need its public key.
func readers(role messages.Role) []messages.Role {
	switch role {
	case messages.RoleOrchestrator:
		return []messages.Role{messages.RoleCLI}
	case messages.RoleCPI:
		return []messages.Role{messages.RoleOrchestrator, messages.RoleCLI}
	case messages.RoleRegistry:
		return []messages.Role{messages.RoleCPI}
	}
	return nil
}

// fill makes what is missing.
func (p *Plane) fill() (made bool, err error) {
	folders := []string{p.authorities()}
	for _, role := range roles() {
		folders = append(folders, p.keys(role))
	}
	for i := range p.about.Nodes {
		folders = append(folders, p.bus(i))
	}
	for _, dir := range folders {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return false, fmt.Errorf("cannot make the folder: %w", err)
		}
	}
	before, err := p.count()
	if err != nil {
		return false, err
	}
	if err := p.trust(); err != nil {
		return false, err
	}
	for _, role := range roles() {
		if err := p.ensureCertificate(role); err != nil {
			return false, err
		}
	}
	for _, role := range embed.SealRoles() {
		if _, err := seal.OpenRing(p.keys(role), role); err != nil {
			return false, err
		}
		if err := p.share(role); err != nil {
			return false, err
		}
	}
	if err := p.registry(); err != nil {
		return false, err
	}
	wrote, err := p.configure()
	if err != nil {
		return false, err
	}
	after, err := p.count()
	return wrote || after != before, err
}

// trust makes the authorities and gives everybody what they sign by.
func (p *Plane) trust() error {
	if err := p.ensureAuthorities(); err != nil {
		return err
	}
	plane, agents, err := p.lines()
	if err != nil {
		return err
	}
	for _, dir := range p.bundles() {
		if err := embed.WriteBundle(dir, plane, agents); err != nil {
			return err
		}
	}
	for i, host := range p.about.Nodes {
		if err := cert.Repair(p.bus(i), embed.ServerPair); err != nil {
			return err
		}
		if _, err := cert.Read(p.bus(i), embed.ServerPair); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return err
			}
			continue
		}
		if err := p.certifyNode(i, host, plane.Present); err != nil {
			return err
		}
	}
	return nil
}

// ensureAuthorities makes them once. Where somebody trusts one already its key
// is somewhere else, as it should be.
func (p *Plane) ensureAuthorities() error {
	for _, at := range p.authority() {
		if !exists(filepath.Join(at.dir, at.name+".key")) && exists(bus.CAFile(p.keys(messages.RoleAdmin))) {
			return messages.Errorf(messages.CodeStateInvalid, "%s.key is missing in %s", at.name, at.dir).
				WithHint("put back the folder from where it is kept: another authority would lock out what this one signed")
		}
	}
	for _, at := range p.authority() {
		if _, err := cert.EnsureAuthority(at.dir, at.name, p.now()); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plane) certifyNode(node int, host string, by *cert.Authority) error {
	pair, err := by.Server([]string{host, "localhost", "127.0.0.1"}, p.now())
	if err != nil {
		return err
	}
	return cert.Write(p.bus(node), embed.ServerPair, pair)
}

func (p *Plane) ensureCertificate(role messages.Role) error {
	_, err := cert.Read(p.keys(role), role)
	if errors.Is(err, fs.ErrNotExist) {
		return p.certify(role)
	}
	if err != nil {
		return err
	}
	return cert.Repair(p.keys(role), role)
}

// certify signs a new certificate for a role.
func (p *Plane) certify(role messages.Role) error {
	authority, err := cert.OpenAuthority(p.authorities(), cert.PlaneAuthority)
	if err != nil {
		return fmt.Errorf("cannot sign for %s: %w", role, err)
	}
	pair, err := authority.Client(cert.RoleName(role), cert.Life, p.now())
	if err != nil {
		return err
	}
	return cert.Write(p.keys(role), role, pair)
}

// share gives a role's public curve key to those that seal to it.
func (p *Plane) share(role messages.Role) error {
	public, err := seal.PublicKey(p.keys(role), role)
	if err != nil {
		return err
	}
	for _, reader := range readers(role) {
		if _, err := write(filepath.Join(p.keys(reader), role+".xpub"), []byte(public+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// registry makes the credential of the HTTP API, which CPIs know too, and tells
// them where it is.
func (p *Plane) registry() error {
	path := p.credential(messages.RoleRegistry)
	line, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		line = newCredential()
		_, err = write(path, line, 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot make the registry's credential: %w", err)
	}
	if _, err := write(p.credential(messages.RoleCPI), line, 0o600); err != nil {
		return err
	}
	b, err := json.Marshal(map[string]string{"url": p.about.Registry})
	if err != nil {
		return fmt.Errorf("cannot encode the registry's address: %w", err)
	}
	_, err = write(p.path("registry.json"), append(b, '\n'), 0o644)
	return err
}

// credential is where a role keeps that of the registry's HTTP API.
func (p *Plane) credential(role messages.Role) string {
	return filepath.Join(p.keys(role), "registry.http")
}

func newCredential() []byte { return []byte("registry:" + rand.Text() + "\n") }

// count tells how many files there are.
func (p *Plane) count() (n int, err error) {
	err = filepath.WalkDir(p.dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("cannot look through the control plane: %w", err)
	}
	return n, nil
}
