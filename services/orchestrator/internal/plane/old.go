package plane

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/cert"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
)

// Old is a key or an authority of before a rotation, and why it is kept.
type Old struct {
	Name string `json:"name"`
	Kept string `json:"kept,omitempty"` // "" = it is removed

	forget func() error
}

// Forget removes what is old and named by nothing: no message on the bus, no
// stored value, no certificate. It looks at all before it removes the first.
// With force it removes the rest, too: for what was stolen.
func (p *Plane) Forget(ctx context.Context, conn *bus.Conn, force bool) ([]Old, error) {
	all, err := p.oldKeys(ctx, conn)
	if err != nil {
		return nil, err
	}
	authorities, err := p.oldAuthorities(ctx, conn)
	if err != nil {
		return nil, err
	}
	all = append(all, authorities...)
	for i, one := range all {
		if one.Kept != "" && !force {
			continue
		}
		if err := one.forget(); err != nil {
			return nil, err
		}
		all[i].Kept = ""
	}
	if len(authorities) > 0 {
		err = p.trust()
	}
	return all, err
}

// stored are the streams in which something sealed may rest: requests, step
// commands, settings and identities. The journal and the results are looked
// through, too, although nothing sealed belongs there.
func stored() []messages.Stream {
	return slices.DeleteFunc(messages.Streams(), func(s messages.Stream) bool { return s.Name == messages.StreamEvent })
}

// oldKeys are the roles' old curve keys.
func (p *Plane) oldKeys(ctx context.Context, conn *bus.Conn) ([]Old, error) {
	var out []Old
	var texts []string
	for _, role := range embed.SealRoles() {
		keys, err := seal.OldKeys(p.keys(role), role)
		if err != nil {
			return nil, err
		}
		present, err := seal.PublicKey(p.keys(role), role)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			one := Old{Name: "curve key " + key.Path, forget: key.Forget}
			if role == messages.RoleCLI {
				if one.Kept, err = fingerprints(ctx, conn); err != nil {
					return nil, err
				}
			}
			if key.Public == present { // kept twice by a rotation that was killed
				key.Public = "\x00"
			}
			out, texts = append(out, one), append(texts, key.Public)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	for _, s := range stored() {
		for _, filter := range s.Subjects {
			msgs, err := conn.Read(ctx, s.Name, filter, 0)
			if err != nil {
				return nil, fmt.Errorf("cannot look who names an old key: %w", err)
			}
			for _, m := range msgs {
				for i, text := range texts {
					if out[i].Kept == "" && bytes.Contains(m.Data, []byte(text)) {
						out[i].Kept = m.Subject + " is sealed with it"
					}
				}
			}
		}
	}
	return out, nil
}

// fingerprints tells why an old key of the command line is kept: a deployment's
// fingerprint may be made with it, and does not say so.
func fingerprints(ctx context.Context, conn *bus.Conn) (why string, err error) {
	open, err := conn.Read(ctx, messages.StreamCommand, messages.CommandSubject("*"), 0)
	if err != nil {
		return "", fmt.Errorf("cannot look for open runs: %w", err)
	}
	if len(open) > 0 {
		return open[0].Subject + " holds a fingerprint that may be made with it", nil
	}
	j := journal.New(conn, "")
	names, err := j.Deployments(ctx)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		log, err := j.Load(ctx, name)
		if err != nil {
			return "", err
		}
		if vm := log.State.VM; log.State.ConfigSHA1 != "" || vm != nil && vm.ConfigSHA1 != "" {
			return "the fingerprint of the deployment " + name + " may be made with it; without it an unchanged manifest looks changed", nil
		}
	}
	return "", nil
}

// oldAuthorities are those of before the last succession.
func (p *Plane) oldAuthorities(ctx context.Context, conn *bus.Conn) ([]Old, error) {
	plane, agents, err := p.lines()
	if p.one && messages.CodeOf(err) == messages.CodeStateInvalid {
		return nil, nil // it speaks no TLS
	}
	if err != nil {
		return nil, err
	}
	var out []Old
	for i, line := range []cert.Line{plane, agents} {
		at := p.authority()[i]
		if line.Old == nil {
			continue
		}
		one := Old{Name: "authority " + at.name, forget: func() error { return cert.Retire(at.dir, at.name) }}
		switch {
		case line.Next != nil || !p.allSigned(plane.Present):
			one.Kept = "its succession is not finished: `microbosh rotate ca`"
		default:
			one.Kept, err = p.agentsOf(ctx, conn, line, i == 0)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// agentsOf tells which living agent needs an old authority: to be known by, or to
// know the bus by.
func (p *Plane) agentsOf(ctx context.Context, conn *bus.Conn, line cert.Line, server bool) (why string, err error) {
	ring, err := seal.ReadRing(p.keys(messages.RoleRegistry), messages.RoleRegistry)
	if err != nil {
		return "", err
	}
	prefix := "$KV." + messages.BucketIdentity + "."
	msgs, err := conn.Read(ctx, "KV_"+messages.BucketIdentity, prefix+">", 0)
	if err != nil {
		return "", fmt.Errorf("cannot look which agents need an authority: %w", err)
	}
	for _, m := range msgs {
		agent := strings.TrimPrefix(m.Subject, prefix)
		var l messages.StoredLogin
		if json.Unmarshal(m.Data, &l) != nil || l.Revoked || l.Sealed.Empty() {
			continue
		}
		var both messages.StoredIdentities
		if err := ring.Open(l.Sealed, &both); err != nil {
			return "", fmt.Errorf("cannot open the identity of the agent %s: %w", agent, err)
		}
		needs, err := names(both.Lasting, line, server)
		if err != nil {
			return "", fmt.Errorf("cannot read the certificate of the agent %s: %w", agent, err)
		}
		if needs {
			return "the agent " + agent + " was made before; deploy with --recreate for one that was not", nil
		}
	}
	return "", nil
}

func names(id messages.Identity, line cert.Line, server bool) (bool, error) {
	if id.Certificate == "" { // of before the bus spoke TLS
		return false, nil
	}
	if server {
		return !cert.Holds([]byte(id.CA), line.Present.Certificate()), nil
	}
	own, err := cert.Parse([]byte(id.Certificate))
	return err == nil && !line.Present.Signed(own), err
}

// Bus is where the plane's bus is: the plane says so, or the embedded bus that runs.
func (p *Plane) Bus() (string, error) {
	if p.one {
		return embed.ReadAddress(p.dir)
	}
	return p.URL(), nil
}
