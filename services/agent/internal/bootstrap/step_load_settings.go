package bootstrap

import (
	"context"
	"encoding/json"
	"fmt"
)

// loadSettings also gives the VM's SSH keys to the platform, as they come from
// the same place.
func loadSettings(ctx context.Context, b *boot) error {
	found, err := b.Loader.Boot(ctx)
	if err != nil {
		return err
	}
	b.Settings = found.Settings
	if len(b.Settings.Env) > 0 {
		if err := json.Unmarshal(b.Settings.Env, &b.env); err != nil {
			return fmt.Errorf("cannot read env of the settings: %w", err)
		}
	}
	b.keys = append(found.Keys, b.env.Bosh.AuthorizedKeys...)
	b.Log.Info().Str("source", found.Source).Msg("settings loaded")
	if !b.Configure || len(b.keys) == 0 {
		return nil
	}
	return b.Platform.AuthorizeKeys(ctx, b.keys)
}
