package bootstrap

import "context"

func setupTmp(ctx context.Context, b *boot) error {
	return b.Platform.SetupTmp(ctx)
}
