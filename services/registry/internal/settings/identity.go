package settings

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/cert"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

const maxUser = 128

// Identities keeps what agents log in to the bus with: a first credential, which
// anybody on the VM can read in its user data, and the lasting one that the
// agent is told over the bus. The first login with the lasting one ends the
// first. A revoked identity stays, as a mark: a late repeat of its creation must
// not bring it back.
type Identities struct {
	bucket Bucket
	ring   *seal.Ring
	keys   string // folder of the agents' authority and of what they trust, read anew for each
	cut    func(ctx context.Context, user string, spared bus.Connection) error
}

// known is an identity that is in force.
type known struct {
	messages.StoredLogin
	messages.StoredIdentities
	revision uint64
}

// Create makes the identity of an agent, or finds the one that is there, and
// gives its first or its lasting credential.
func (i *Identities) Create(ctx context.Context, agentID string, lasting bool) (messages.Identity, error) {
	have, err := i.get(ctx, agentID)
	if errors.Is(err, bus.ErrNone) && !lasting {
		have.StoredIdentities, err = i.make(ctx, agentID)
		if errors.Is(err, bus.ErrConflict) { // somebody was faster
			have, err = i.get(ctx, agentID)
		}
	}
	if errors.Is(err, bus.ErrNone) {
		err = messages.Errorf(messages.CodeBusDenied, "the agent %s was never given an identity", agentID).
			WithHint("deploy with --recreate for a VM that has one")
	}
	if lasting {
		return have.Lasting, err
	}
	return have.First, err
}

func (i *Identities) make(ctx context.Context, agentID string) (messages.StoredIdentities, error) {
	var c messages.StoredIdentities
	authority, bundle, err := agentAuthority(i.keys)
	if err != nil {
		return c, err
	}
	for _, one := range []struct {
		into  *messages.Identity
		first bool
	}{{&c.First, true}, {&c.Lasting, false}} {
		*one.into = messages.Identity{User: agentID, Password: rand.Text()}
		if authority == nil {
			continue
		}
		pair, err := authority.Client(cert.AgentName(agentID, one.first), cert.AgentLife, time.Now())
		if err != nil {
			return c, err
		}
		one.into.Certificate, one.into.PrivateKey, one.into.CA = string(pair.Certificate), string(pair.Key), string(bundle)
	}
	box, err := i.ring.Seal(i.ring.Own(), c)
	if err != nil {
		return c, err
	}
	_, err = i.put(ctx, agentID, messages.StoredLogin{Sealed: box}, 0)
	return c, err
}

func (i *Identities) put(ctx context.Context, agentID string, l messages.StoredLogin, revision uint64) (uint64, error) {
	value, err := json.Marshal(l)
	if err != nil {
		return 0, fmt.Errorf("cannot encode the identity of %s: %w", agentID, err)
	}
	return i.bucket.Put(ctx, agentID, value, revision)
}

// Revoke ends an identity for ever and cuts its connections.
func (i *Identities) Revoke(ctx context.Context, agentID string) error {
	if err := checkID(agentID); err != nil {
		return err
	}
	for range replaceTries {
		have, err := i.bucket.Get(ctx, agentID)
		if err != nil && !errors.Is(err, bus.ErrNone) {
			return err
		}
		_, err = i.put(ctx, agentID, messages.StoredLogin{Revoked: true}, have.Revision)
		if err == nil {
			return i.cut(ctx, agentID, bus.Connection{})
		}
		if !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
	return messages.Errorf(messages.CodeConflict, "the identity of %s is written by others all the time", agentID)
}

// Check tells what somebody may do who logs in with a password, or with a
// certificate alone as BOSH's agents, Directors and health monitors do.
func (i *Identities) Check(ctx context.Context, l bus.Login) (messages.Permission, error) {
	refused := messages.Errorf(messages.CodeBusDenied, "no agent has this name and password or certificate, or its VM was deleted")
	if l.User == "" && l.Password == "" {
		if p, ok := i.peer(l); ok {
			return p, nil
		}
	}
	named, first := cert.ParseAgentName(l.Name())
	user := l.User
	switch {
	case user == "" && l.Password == "":
		user = named
	case named != "" && named != user: // one agent's certificate with another's name
		return messages.Permission{}, refused
	}
	have, err := i.get(ctx, user)
	if err != nil {
		return messages.Permission{}, refused
	}
	if l.User != "" {
		lasting := same(have.Lasting.Password, l.Password)
		if first = same(have.First.Password, l.Password); !first && !lasting {
			return messages.Permission{}, refused
		}
	}
	if first && have.Swapped {
		return messages.Permission{}, messages.Errorf(messages.CodeBusDenied, "the agent %s was given another credential since this one", user)
	}
	if !first && !have.Swapped {
		if err := i.swap(ctx, user, have, l.Connection); err != nil {
			return messages.Permission{}, err
		}
	}
	return messages.AgentPermission(user), nil
}

// peer tells what a Director or a health monitor may do. Who signs for agents,
// which is who has the registry's keys, does not sign for them.
func (i *Identities) peer(l bus.Login) (messages.Permission, bool) {
	for _, p := range messages.BOSHPermissions() {
		if l.Name() != cert.RoleName(p.Role) {
			continue
		}
		agents, err := cert.OpenLine(i.keys, cert.AgentAuthority)
		if err != nil {
			return p, false
		}
		bundle, err := os.ReadFile(bus.CAFile(i.keys))
		return p, err == nil && !agents.Bears(l.Certificate) && cert.SignedByAny(bundle, l.Certificate)
	}
	return messages.Permission{}, false
}

func same(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// swap ends the first credential, and whatever is connected with it, but not the
// connection that logs in with the lasting one: the server has its name already.
func (i *Identities) swap(ctx context.Context, agentID string, have known, newcomer bus.Connection) error {
	have.Swapped = true
	_, err := i.put(ctx, agentID, have.StoredLogin, have.revision)
	if errors.Is(err, bus.ErrConflict) { // swapped or revoked meanwhile: the agent tries again
		return messages.Errorf(messages.CodeConflict, "the identity of %s was written by somebody else meanwhile", agentID)
	}
	if err != nil {
		return err
	}
	return i.cut(ctx, agentID, newcomer)
}

// get reads an identity; bus.ErrNone when there never was one.
func (i *Identities) get(ctx context.Context, agentID string) (known, error) {
	if err := checkID(agentID); err != nil {
		return known{}, err
	}
	e, err := i.bucket.Get(ctx, agentID)
	if err != nil {
		return known{}, err
	}
	have := known{revision: e.Revision}
	if err := json.Unmarshal(e.Value, &have.StoredLogin); err != nil {
		return known{}, messages.Errorf(messages.CodeMalformed, "what is stored as the identity of %s cannot be read", agentID)
	}
	if have.Revoked {
		return known{}, messages.Errorf(messages.CodeBusDenied, "the identity of the agent %s was revoked", agentID).
			WithHint("its VM was deleted; deploy again for a new one")
	}
	if err := i.ring.Open(have.Sealed, &have.StoredIdentities); err != nil {
		return known{}, fmt.Errorf("cannot open the identity of %s: %w", agentID, err)
	}
	if have.First.User != agentID || have.First.Password == "" {
		return known{}, messages.Errorf(messages.CodeSealUnreadable, "what is stored as the identity of %s was sealed under another name", agentID).
			WithHint("somebody wrote to the bucket %s past the registry; deploy again", messages.BucketIdentity)
	}
	return have, nil
}

// checkID refuses what cannot be an agent id, before it becomes part of a
// subject.
func checkID(agentID string) error {
	if len(agentID) > maxUser {
		return messages.Errorf(messages.CodeInvalidName, "an agent id of %d bytes is too long", len(agentID))
	}
	_, err := messages.ParseToken("agent id", agentID)
	return err
}
