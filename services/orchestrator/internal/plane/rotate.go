package plane

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/cert"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

// TLS is what Rotate takes beside a role: all certificates.
const TLS = "tls"

// Rotate replaces the keys of a role, or all certificates. What was there before
// stays good: the nkey until the next rotation, curve keys for as long as
// something is sealed to them, an authority until what it signed has been
// replaced. The bus has to read its configuration again.
func (p *Plane) Rotate(what string) error {
	if what == TLS {
		return p.rotateTLS()
	}
	if !slices.Contains(roles(), what) {
		return messages.Errorf(messages.CodeUsage, "there is no role %.60q", what).WithHint("one of %v, or tls", roles())
	}
	if err := embed.RotateUser(p.keys(what), what); err != nil {
		return err
	}
	if slices.Contains(embed.SealRoles(), what) {
		if _, err := seal.Rotate(p.keys(what), what); err != nil {
			return err
		}
		if err := p.share(what); err != nil {
			return err
		}
	}
	if p.one {
		return nil // the embedded bus has no configuration
	}
	if err := p.certify(what); err != nil {
		return err
	}
	_, err := p.configure()
	return err
}

func (p *Plane) rotateTLS() error {
	authority, err := cert.OpenAuthority(p.authorities(), cert.PlaneAuthority)
	if errors.Is(err, fs.ErrNotExist) {
		return messages.Errorf(messages.CodeStateInvalid, "this bus speaks no TLS").
			WithHint("it does when others than this machine reach it: --host")
	}
	if err != nil {
		return err
	}
	// A third of its life before its end an authority gets a successor, which
	// everybody trusts beside it from then on.
	if !p.one && authority.Expires().Before(p.now().Add(cert.AuthorityLife/3)) {
		for _, ext := range []string{".key", ".pem"} {
			from := filepath.Join(p.authorities(), cert.PlaneAuthority)
			if err := os.Rename(from+ext, from+"-old"+ext); err != nil {
				return fmt.Errorf("cannot keep the old authority: %w", err)
			}
		}
	}
	if p.one { // the bus makes it anew at its next start, and for each handshake reads what is there
		pair, err := p.again("server", authority)
		if err != nil {
			return err
		}
		return cert.Write(p.path("keys"), "server", pair)
	}
	for i := range p.about.Nodes {
		if err := os.Remove(filepath.Join(p.bus(i), "server.pem")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot replace the certificate of the bus: %w", err)
		}
	}
	if err := p.trust(); err != nil {
		return err
	}
	for _, role := range roles() {
		if err := p.certify(role); err != nil {
			return err
		}
	}
	_, err = p.configure()
	return err
}

// again signs what a certificate of an embedded bus says for another time.
func (p *Plane) again(name string, authority *cert.Authority) (cert.Pair, error) {
	have, err := cert.Read(p.path("keys"), name)
	if err != nil {
		return cert.Pair{}, fmt.Errorf("cannot read the certificate of the bus: %w", err)
	}
	parsed, err := cert.Parse(have.Certificate)
	if err != nil {
		return cert.Pair{}, err
	}
	hosts := parsed.DNSNames
	for _, ip := range parsed.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return authority.Server(hosts, p.now())
}

// Expiring are the certificates of the plane that need a rotation.
func (p *Plane) Expiring() ([]cert.Expiry, error) {
	dirs := []string{p.authorities()}
	for _, role := range roles() {
		dirs = append(dirs, p.keys(role))
	}
	for i := range p.about.Nodes {
		dirs = append(dirs, p.bus(i))
	}
	slices.Sort(dirs)
	var out []cert.Expiry
	for _, dir := range slices.Compact(dirs) {
		list, err := cert.Expiring(dir, cert.Soon, p.now())
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}
