package steps

import (
	"context"
	"fmt"
	"net/url"

	"github.com/microbosh/microbosh/pkg/messages"
)

// mbusOf is the mbus of one agent with its credentials. A repeat gives the same,
// so a create_vm that is sent again carries what the first one did.
func (x *Session) mbusOf(ctx context.Context, agentID string) (string, error) {
	target, own, err := x.mbus()
	if err != nil || !own {
		return target, err
	}
	var reply messages.IdentityReply
	request := messages.IdentityCreate{AgentID: agentID, Asker: x.Ring.Public()}
	if err := x.Conn.Call(ctx, messages.ServiceSubject(messages.ServiceRegistry, messages.SvcIdentityCreate), request, &reply); err != nil {
		return "", fmt.Errorf("cannot get an identity for the agent %s: %w", agentID, err)
	}
	var id messages.Identity
	if err := x.Ring.Open(reply.Identity, &id); err != nil {
		return "", fmt.Errorf("cannot read the identity of the agent %s: %w", agentID, err)
	}
	u, err := url.Parse(target)
	if err != nil {
		return "", fmt.Errorf("cannot tell the bus's address: %w", err)
	}
	u.User = url.UserPassword(id.User, id.Password)
	return u.String(), nil
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
