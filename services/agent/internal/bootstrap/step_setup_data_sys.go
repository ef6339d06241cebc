package bootstrap

import "context"

func setupDataSys(ctx context.Context, b *boot) error {
	return b.Platform.SetupDataSys(ctx)
}
