package bootstrap

import "context"

func updateTime(ctx context.Context, b *boot) error {
	servers := b.Settings.NTP
	if len(b.env.Bosh.NTP) > 0 {
		servers = b.env.Bosh.NTP
	}
	if len(servers) == 0 {
		b.Log.Warn().Msg("the settings name no NTP server, the clock is left alone")
		return nil
	}
	return b.Platform.SetTime(ctx, servers)
}
