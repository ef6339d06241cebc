package bootstrap

import (
	"context"

	"github.com/microbosh/microbosh/pkg/messages"
)

func updateAgentID(_ context.Context, b *boot) error {
	id := b.Settings.AgentID
	if id == "" {
		id = b.DefaultAgentID
	}
	id, err := messages.ParseToken("agent id", id)
	if err != nil {
		return err
	}
	b.AgentID = id
	return nil
}
