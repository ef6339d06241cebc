package bootstrap

import "context"

func updateHostname(ctx context.Context, b *boot) error {
	return b.Platform.SetHostname(ctx, b.AgentID)
}
