package plane

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/cert"
	"github.com/microbosh/microbosh/pkg/messages"
)

// place is where an authority lies.
type place struct{ dir, name string }

// authority is where both lie: the plane's and the agents'.
func (p *Plane) authority() [2]place {
	return [2]place{{p.authorities(), cert.PlaneAuthority}, {p.keys(messages.RoleRegistry), cert.AgentAuthority}}
}

// bundles are the folders with what is trusted, and with certificates.
func (p *Plane) bundles() []string {
	dirs := []string{p.authorities()}
	for _, role := range roles() {
		dirs = append(dirs, p.keys(role))
	}
	for _, role := range p.peers() {
		dirs = append(dirs, p.keys(role))
	}
	for i := range p.about.Nodes {
		dirs = append(dirs, p.bus(i))
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// peers are those of BOSH's own that were given a certificate.
func (p *Plane) peers() []messages.Role {
	return slices.DeleteFunc(boshRoles(), func(role messages.Role) bool { return !exists(filepath.Join(p.keys(role), role+".key")) })
}

func boshRoles() []messages.Role {
	return []messages.Role{messages.RoleDirector, messages.RoleHealthMonitor}
}

// rotatePeer gives one of BOSH's own a certificate, its first one or another.
func (p *Plane) rotatePeer(role messages.Role) error {
	if _, _, err := p.lines(); err != nil { // it is refused before there is a folder
		return err
	}
	if err := os.MkdirAll(p.keys(role), 0o700); err != nil {
		return fmt.Errorf("cannot make the folder: %w", err)
	}
	if err := p.certify(role); err != nil {
		return err
	}
	return p.trust()
}

// lines reads both authorities.
func (p *Plane) lines() (plane, agents cert.Line, err error) {
	var out [2]cert.Line
	for i, at := range p.authority() {
		out[i], err = cert.OpenLine(at.dir, at.name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && p.one:
			err = messages.Errorf(messages.CodeStateInvalid, "this bus speaks no TLS").
				WithHint("it does when others than this machine reach it: --host")
		case errors.Is(err, fs.ErrNotExist):
			err = messages.Errorf(messages.CodeStateInvalid, "the authority %s is missing in %s", at.name, at.dir).
				WithHint("put back the folder from where it is kept")
		}
		if err != nil {
			return out[0], out[1], err
		}
	}
	return out[0], out[1], nil
}

// rotateCA takes the next step to other authorities. The first makes them and
// tells everybody to trust them too; the second has them sign. Between the two a
// person copies what the first one wrote, which only they can know to be done.
// The bundles are written last in the first step, so that one which was
// interrupted is told from one that is over; in the second they stay the same.
func (p *Plane) rotateCA() (Done, error) {
	plane, agents, err := p.lines()
	if err != nil {
		return Done{}, err
	}
	told, err := p.told(plane, agents)
	if err != nil {
		return Done{}, err
	}
	fresh := func(l cert.Line) bool { return l.Next == nil && l.Old == nil }
	over := func(l cert.Line) bool { return l.Next == nil && l.Old != nil }
	switch {
	case over(plane) && over(agents):
		if p.allSigned(plane.Present) {
			return Done{}, stillOld()
		}
		return p.signing(), p.sign(plane.Present, false)
	case over(plane) && fresh(agents), fresh(plane) && over(agents):
		return Done{}, stillOld()
	case fresh(plane) || fresh(agents) || !told:
		return p.announced(), p.announce()
	}
	for _, at := range p.authority() {
		if err := cert.Succeed(at.dir, at.name); err != nil {
			return Done{}, err
		}
	}
	if plane, _, err = p.lines(); err != nil {
		return Done{}, err
	}
	return p.signing(), p.sign(plane.Present, false)
}

// announced is what step 1 did.
func (p *Plane) announced() Done {
	return Done{
		"Step 1 of 2: the next authorities are made and trusted beside the present ones; they sign nothing yet.",
		p.next(copyAndReload+" Nothing has to start again.", "") + " Then, for step 2: microbosh rotate ca",
	}
}

// signing is what step 2 did.
func (p *Plane) signing() Done {
	return Done{
		"Step 2 of 2: the new authorities sign, and every certificate is new. The old ones are still trusted.",
		p.next(copyAndReload+" Nothing has to start again.", "") + " Then, when it suits, to forget the old ones: microbosh rotate old",
	}
}

func stillOld() error {
	return messages.Errorf(messages.CodeStateInvalid, "the authorities of before the last rotation are still trusted").
		WithHint("`microbosh rotate old` forgets them once nothing bears a certificate of theirs")
}

func (p *Plane) announce() error {
	for _, at := range p.authority() {
		if err := cert.Announce(at.dir, at.name, p.now()); err != nil {
			return err
		}
	}
	return p.trust()
}

// told tells whether every folder trusts all that the lines do.
func (p *Plane) told(lines ...cert.Line) (bool, error) {
	for _, dir := range p.bundles() {
		have, err := os.ReadFile(bus.CAFile(dir))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("cannot read the authorities of the bus: %w", err)
		}
		if !cert.Holds(have, cert.Trusted(lines...)) {
			return false, nil
		}
	}
	return true, nil
}
