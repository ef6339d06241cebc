package bootstrap

import "context"

func updateIPTables(ctx context.Context, b *boot) error {
	if b.Settings.IPTables == nil || len(b.Settings.IPTables.DropOutput) == 0 {
		return nil
	}
	return b.Platform.DropOutput(ctx, b.Settings.IPTables.DropOutput)
}
