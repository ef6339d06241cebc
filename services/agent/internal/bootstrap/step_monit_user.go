package bootstrap

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// monitUser makes the password of monit's control port, once.
func monitUser(_ context.Context, b *boot) error {
	path := b.Home.Join("monit", "monit.user")
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	secret := make([]byte, 8)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("cannot make monit's password: %w", err)
	}
	return home.WriteFile(path, []byte("vcap:"+hex.EncodeToString(secret)+"\n"), 0o600)
}
