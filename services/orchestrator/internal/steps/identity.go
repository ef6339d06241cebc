package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/microbosh/microbosh/pkg/messages"
)

// mbusOf is the mbus of one agent with its first credentials, and the
// certificate for it. A repeat gives the same, so a create_vm that is sent again
// carries what the first one did.
func (x *Session) mbusOf(ctx context.Context, agentID string) (string, messages.Identity, error) {
	target, own, err := x.mbus()
	if err != nil || !own {
		return target, messages.Identity{}, err
	}
	return x.identity(ctx, target, agentID, false)
}

// identity asks the registry, and puts what it says into the mbus.
func (x *Session) identity(ctx context.Context, mbus, agentID string, lasting bool) (string, messages.Identity, error) {
	var reply messages.IdentityReply
	var id messages.Identity
	request := messages.IdentityCreate{AgentID: agentID, Asker: x.Ring.Public(), Lasting: lasting}
	if err := x.Conn.Call(ctx, messages.ServiceSubject(messages.ServiceRegistry, messages.SvcIdentityCreate), request, &reply); err != nil {
		return "", id, fmt.Errorf("cannot get an identity for the agent %s: %w", agentID, err)
	}
	if err := x.Ring.Open(reply.Identity, &id); err != nil {
		return "", id, fmt.Errorf("cannot read the identity of the agent %s: %w", agentID, err)
	}
	u, err := url.Parse(mbus)
	if err != nil {
		return "", id, fmt.Errorf("cannot tell the bus's address: %w", err)
	}
	u.User = url.UserPassword(id.User, id.Password)
	return u.String(), id, nil
}

// mbusCert is a certificate as BOSH's settings have it.
type mbusCert struct {
	CA          string `json:"ca"`
	Certificate string `json:"certificate"`
	PrivateKey  string `json:"private_key"`
}

func certOf(id messages.Identity) *mbusCert {
	if id.Certificate == "" {
		return nil
	}
	return &mbusCert{id.CA, id.Certificate, id.PrivateKey}
}

// envOf is the manifest's env, with the agent's certificate where BOSH has it.
func (x *Session) envOf(id messages.Identity) (json.RawMessage, error) {
	env, err := json.Marshal(x.Manifest.Env)
	if err != nil || id.Certificate == "" {
		return env, err
	}
	own, err := json.Marshal(map[string]any{"bosh": map[string]any{"mbus": map[string]any{"cert": certOf(id)}}})
	if err != nil {
		return nil, err
	}
	return messages.Overlay(env, own)
}

// swap gives the agent its lasting credential in place of the one that anybody
// on its VM can read in the user data. The registry ends that one when the agent
// comes back with the other; an agent that is too old to be told keeps it.
func (x *Session) swap(ctx context.Context, c Call) error {
	target, own, err := x.mbus()
	if err != nil || !own {
		return err
	}
	mbus, id, err := x.identity(ctx, target, c.State.VM.AgentID, true)
	if messages.CodeOf(err) == messages.CodeBusDenied { // its VM is older than identities
		return nil
	}
	if err != nil {
		return err
	}
	type settings struct {
		URLs []string  `json:"urls"`
		Cert *mbusCert `json:"cert,omitempty"`
	}
	return x.optional(ctx, c, "update_settings", map[string]any{"mbus": settings{[]string{mbus}, certOf(id)}})
}

// revoke ends an agent's identity once its VM is gone.
func (x *Session) revoke(ctx context.Context, agentID string) error {
	if agentID == "" {
		return nil
	}
	// The manifest may be another than the one that made the VM, so all are
	// revoked; only where no registry is needed may it be missing.
	_, own, err := x.mbus()
	if err != nil {
		return err
	}
	request := messages.IdentityRevoke{AgentID: agentID}
	err = x.Conn.Call(ctx, messages.ServiceSubject(messages.ServiceRegistry, messages.SvcIdentityRevoke), request, nil)
	if !own && messages.CodeOf(err) == messages.CodeNoService {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot revoke the identity of the agent %s: %w", agentID, err)
	}
	return nil
}
