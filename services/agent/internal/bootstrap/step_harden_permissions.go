package bootstrap

import "context"

func hardenPermissions(ctx context.Context, b *boot) error {
	return b.Platform.HardenPermissions(ctx)
}
