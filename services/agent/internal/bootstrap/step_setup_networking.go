package bootstrap

import "context"

func setupNetworking(ctx context.Context, b *boot) error {
	return b.Platform.SetupNetworking(ctx, b.Settings.Networks)
}
