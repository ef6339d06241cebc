package bootstrap

import "context"

func updatePasswords(ctx context.Context, b *boot) error {
	if b.env.Bosh.Password == "" {
		return nil
	}
	return b.Platform.SetPassword(ctx, b.env.Bosh.Password)
}
