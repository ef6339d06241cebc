package bootstrap

import (
	"context"
	"errors"
)

// updateCredentials refuses env.bosh.credentials: who asks for encrypted
// messages must not get clear ones.
func updateCredentials(_ context.Context, b *boot) error {
	if c := b.env.Bosh.Credentials; len(c) == 0 || string(c) == "null" {
		return nil
	}
	return errors.New("env.bosh.credentials asks for encrypted messages, which this agent does not speak: use TLS")
}
