package bootstrap

import "context"

func mountPersistentDisk(ctx context.Context, b *boot) error {
	cid, err := b.Disks.AtBoot(ctx, b.Settings)
	if err == nil && cid != "" {
		b.Log.Info().Str("cid", cid).Msg("persistent disk mounted")
	}
	return err
}
