package plane

import (
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/cert"
	"github.com/microbosh/microbosh/pkg/messages"
)

// What Rotate takes beside a role.
const (
	TLS    = "tls"    // all certificates
	CA     = "ca"     // what signs them, see Line of package cert
	Issuer = "issuer" // what signs agents' logins
)

// Done is what a rotation did, and what has to be done before the next.
type Done struct{ What, Next string }

// Rotate replaces the keys of a role, or all certificates, or takes the next
// step to other authorities. What was there before stays good: the nkey until
// the next rotation, curve keys for as long as something is sealed to them, an
// authority until it is retired. The bus has to read its configuration again.
// Killed at any moment it has lost nothing, and is finished by the same again.
func (p *Plane) Rotate(what string) (Done, error) {
	switch {
	case what == TLS:
		return Done{"Every certificate is new. Those of before stay good until they end.", p.next(copyAndReload, "")}, p.rotateTLS()
	case what == CA:
		return p.rotateCA()
	case what == Issuer:
		return Done{"What signs agents' logins is new. The registry signs for each server of the bus with what that one expects.", p.next(restart, startBus)}, p.rotateIssuer()
	case slices.Contains(boshRoles(), what):
		return Done{fmt.Sprintf("%s holds a certificate that BOSH's %s logs in with.", p.keys(what), what), "Give it " + what + ".pem, " + what + ".key and ca.pem. There is nothing to reload."}, p.rotatePeer(what)
	case !slices.Contains(roles(), what):
		return Done{}, messages.Errorf(messages.CodeUsage, "there is no role %.60q", what).WithHint("one of %v, or tls, ca or issuer; director or hm, for BOSH's own; or old, to remove what nothing names any more", roles())
	}
	return Done{"Rotated " + what + ". What was there before stays good.", p.next(copyAndReload+" Then start the programs of that role again.", startBus)}, p.rotateRole(what)
}

const (
	copyAndReload = "Copy the folders to where they are used and have the bus read its configuration again (systemctl reload microbosh-bus)."
	startBus      = "End the programs that use this folder and start them again when it suits."
	restart       = "Copy the registry's folder to where it is used first, then start the servers of the bus again, one after the other (systemctl restart microbosh-bus): this is the one part of their configuration that they do not reload."
)

// next is what has to be done, on hosts of a control plane or with an embedded
// bus, which reads certificates for each connection.
func (p *Plane) next(plane, embedded string) string {
	switch {
	case !p.one:
		return plane
	case embedded != "":
		return embedded
	}
	return "There is nothing to start again."
}

func (p *Plane) rotateTLS() error {
	plane, _, err := p.lines()
	if err != nil {
		return err
	}
	return p.sign(plane.Present, true)
}

// sign signs all certificates anew, or those alone that somebody else signed.
func (p *Plane) sign(by *cert.Authority, all bool) error {
	if p.one {
		if err := p.signEmbedded(by, all); err != nil {
			return err
		}
		return p.signRoles(by, p.peers(), all)
	}
	if err := p.trust(); err != nil {
		return err
	}
	for i, host := range p.about.Nodes {
		if all || !p.signed(by, p.bus(i), embed.ServerPair) {
			if err := p.certifyNode(i, host, by); err != nil {
				return err
			}
		}
	}
	if err := p.signRoles(by, append(roles(), p.peers()...), all); err != nil {
		return err
	}
	_, err := p.configure()
	return err
}

func (p *Plane) signRoles(by *cert.Authority, list []messages.Role, all bool) error {
	for _, role := range list {
		if all || !p.signed(by, p.keys(role), role) {
			if err := p.certify(role); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Plane) signEmbedded(by *cert.Authority, all bool) error {
	have, err := p.certificate(p.path("keys"), embed.ServerPair)
	if err != nil || !all && by.Signed(have) {
		return err
	}
	pair, err := p.again(have, by)
	if err != nil {
		return err
	}
	return cert.Write(p.path("keys"), embed.ServerPair, pair)
}

// signed tells whether a certificate can be read and is the authority's.
func (p *Plane) signed(by *cert.Authority, dir, name string) bool {
	have, err := p.certificate(dir, name)
	return err == nil && by.Signed(have)
}

// allSigned tells so about every certificate.
func (p *Plane) allSigned(by *cert.Authority) bool {
	if p.one {
		return p.signed(by, p.path("keys"), embed.ServerPair) && !slices.ContainsFunc(p.peers(), func(role messages.Role) bool { return !p.signed(by, p.keys(role), role) })
	}
	for i := range p.about.Nodes {
		if !p.signed(by, p.bus(i), embed.ServerPair) {
			return false
		}
	}
	return !slices.ContainsFunc(append(roles(), p.peers()...), func(role messages.Role) bool { return !p.signed(by, p.keys(role), role) })
}

func (p *Plane) certificate(dir, name string) (*x509.Certificate, error) {
	pair, err := cert.Read(dir, name)
	if err != nil {
		return nil, fmt.Errorf("cannot read the certificate of %s: %w", name, err)
	}
	return cert.Parse(pair.Certificate)
}

// again signs what a certificate of an embedded bus says for another time.
func (p *Plane) again(have *x509.Certificate, by *cert.Authority) (cert.Pair, error) {
	hosts := have.DNSNames
	for _, ip := range have.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return by.Server(hosts, p.now())
}

// Expiring are the certificates of the plane that need a rotation.
func (p *Plane) Expiring() ([]cert.Expiry, error) {
	var out []cert.Expiry
	for _, dir := range p.bundles() {
		list, err := cert.Expiring(dir, cert.Soon, p.now())
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}
