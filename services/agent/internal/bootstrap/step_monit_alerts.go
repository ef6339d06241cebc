package bootstrap

import "context"

// monitAlerts keeps BOSH's place in the order: the built-in supervisor tells
// its events itself, without monit's way over SMTP.
func monitAlerts(_ context.Context, b *boot) error {
	if !b.Alerts {
		b.Log.Info().Msg("alerts are off")
	}
	return nil
}
