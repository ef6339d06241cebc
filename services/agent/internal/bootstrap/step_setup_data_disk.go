package bootstrap

import "context"

func setupDataDisk(ctx context.Context, b *boot) error {
	if b.Settings.Disks.Ephemeral == "" {
		b.Log.Info().Msg("the VM has no ephemeral disk, data is on the root disk")
	}
	return b.Platform.SetupDataDisk(ctx, b.Settings.Disks.Ephemeral)
}
