package bootstrap

import (
	"context"
	"encoding/json"
	"errors"
)

// updateCredentials refuses halves of env.bosh.credentials: who asks for
// encrypted messages must not get clear ones.
func updateCredentials(_ context.Context, b *boot) error {
	if c := b.env.Bosh.Credentials; len(c) == 0 || string(c) == "null" {
		return nil
	}
	var keys struct {
		Crypt string `json:"crypt_key"`
		Sign  string `json:"sign_key"`
	}
	if json.Unmarshal(b.env.Bosh.Credentials, &keys) != nil || keys.Crypt == "" || keys.Sign == "" {
		return errors.New("env.bosh.credentials needs crypt_key and sign_key")
	}
	return nil
}
