package settings

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

const maxUser = 128

// Identities keeps what agents log in to the bus with. A revoked one stays, as a
// mark: a late repeat of its creation must not bring it back.
type Identities struct {
	bucket Bucket
	ring   *seal.Ring
	cut    func(ctx context.Context, user string) error
}

// login is the value in the bucket.
type login struct {
	Sealed  *messages.Sealed `json:"sealed,omitempty"` // a messages.Identity
	Revoked bool             `json:"revoked,omitempty"`
}

// Create makes the identity of an agent, or gives the one that is there.
func (i *Identities) Create(ctx context.Context, agentID string) (messages.Identity, error) {
	id, err := i.get(ctx, agentID)
	if !errors.Is(err, bus.ErrNone) {
		return id, err
	}
	fresh := messages.Identity{User: agentID, Password: rand.Text()}
	box, err := i.ring.Seal(i.ring.Public(), fresh)
	if err != nil {
		return messages.Identity{}, err
	}
	value, err := json.Marshal(login{Sealed: box})
	if err != nil {
		return messages.Identity{}, fmt.Errorf("cannot encode the identity of %s: %w", agentID, err)
	}
	_, err = i.bucket.Put(ctx, agentID, value, 0)
	if errors.Is(err, bus.ErrConflict) { // somebody was faster
		return i.get(ctx, agentID)
	}
	return fresh, err
}

// Revoke ends an identity for ever and cuts its connections.
func (i *Identities) Revoke(ctx context.Context, agentID string) error {
	if err := known(agentID); err != nil {
		return err
	}
	value, err := json.Marshal(login{Revoked: true})
	if err != nil {
		return fmt.Errorf("cannot encode the identity of %s: %w", agentID, err)
	}
	for range replaceTries {
		have, err := i.bucket.Get(ctx, agentID)
		if err != nil && !errors.Is(err, bus.ErrNone) {
			return err
		}
		_, err = i.bucket.Put(ctx, agentID, value, have.Revision)
		if err == nil {
			return i.cut(ctx, agentID)
		}
		if !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
	return messages.Errorf(messages.CodeConflict, "the identity of %s is written by others all the time", agentID)
}

// Check tells what a user may do who comes with a password.
func (i *Identities) Check(ctx context.Context, user, password string) (messages.Permission, error) {
	refused := messages.Errorf(messages.CodeBusDenied, "no agent has this name and password, or its VM was deleted")
	id, err := i.get(ctx, user)
	if err != nil || subtle.ConstantTimeCompare([]byte(id.Password), []byte(password)) != 1 {
		return messages.Permission{}, refused
	}
	return messages.AgentPermission(user), nil
}

// get reads an identity; bus.ErrNone when there never was one.
func (i *Identities) get(ctx context.Context, agentID string) (messages.Identity, error) {
	if err := known(agentID); err != nil {
		return messages.Identity{}, err
	}
	e, err := i.bucket.Get(ctx, agentID)
	if err != nil {
		return messages.Identity{}, err
	}
	var have login
	if err := json.Unmarshal(e.Value, &have); err != nil {
		return messages.Identity{}, messages.Errorf(messages.CodeMalformed, "what is stored as the identity of %s cannot be read", agentID)
	}
	if have.Revoked {
		return messages.Identity{}, messages.Errorf(messages.CodeBusDenied, "the identity of the agent %s was revoked", agentID).
			WithHint("its VM was deleted; deploy again for a new one")
	}
	var id messages.Identity
	if err := i.ring.Open(have.Sealed, &id); err != nil {
		return messages.Identity{}, fmt.Errorf("cannot open the identity of %s: %w", agentID, err)
	}
	if id.User != agentID || id.Password == "" {
		return messages.Identity{}, messages.Errorf(messages.CodeSealUnreadable, "what is stored as the identity of %s was sealed under another name", agentID).
			WithHint("somebody wrote to the bucket %s past the registry; deploy again", messages.BucketIdentity)
	}
	return id, nil
}

// known refuses what cannot be an agent id, before it becomes part of a subject.
func known(agentID string) error {
	if len(agentID) > maxUser {
		return messages.Errorf(messages.CodeInvalidName, "an agent id of %d bytes is too long", len(agentID))
	}
	_, err := messages.ParseToken("agent id", agentID)
	return err
}
