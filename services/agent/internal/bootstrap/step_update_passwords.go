package bootstrap

import "context"

func updatePasswords(ctx context.Context, b *boot) error {
	if b.env.Bosh.Password == "" {
		return nil
	}
	accounts := []string{"root", "vcap"}
	if b.env.Bosh.KeepRoot {
		accounts = accounts[1:]
	}
	return b.Platform.SetPassword(ctx, b.env.Bosh.Password, accounts...)
}
