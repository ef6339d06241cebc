package bootstrap

import (
	"context"
	"errors"

	"github.com/microbosh/microbosh/pkg/messages"
)

// NoAgentID is the original's id of an agent that was given none. A machine is
// not made out of settings that have none either.
const NoAgentID = "not_configured"

func updateAgentID(_ context.Context, b *boot) error {
	id := b.Settings.AgentID
	if id == "" {
		id = b.DefaultAgentID
	}
	if id == "" || b.Configure && id == NoAgentID {
		return errors.New("the settings have no agent_id")
	}
	id, err := messages.ParseToken("agent id", id)
	if err != nil {
		return err
	}
	b.AgentID = id
	return nil
}
