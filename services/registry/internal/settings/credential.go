package settings

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
)

const maxCredential = 1024

// Credential is the user and password of the services at the HTTP API. Each
// instance's own follows from it. That of before a rotation, in
// registry.old.http, is as good until the next one; whoever comes with neither
// may come with one that was written since, so the files are looked at again.
type Credential struct {
	path string

	mu   sync.Mutex
	both []secret    // guarded by mu
	seen os.FileInfo // guarded by mu; of the present one when it was read
}

type secret struct {
	user, digest [sha256.Size]byte
	password     string
}

// OpenCredential reads "user:password" from a file that only its owner can
// read, and makes it when it is missing. Of two processes that do so at once
// both get the same.
func OpenCredential(path string) (*Credential, error) {
	c := &Credential{path: path}
	err := c.read()
	if errors.Is(err, fs.ErrNotExist) {
		if err := createCredential(path); err != nil {
			return nil, fmt.Errorf("cannot make %s: %w", path, err)
		}
		err = c.read()
	}
	return c, err
}

// read reads both files; the caller is alone with c.
func (c *Credential) read() error {
	info, err := os.Stat(c.path)
	if err != nil {
		return fmt.Errorf("cannot read the registry's credential: %w", err)
	}
	present, err := readSecret(c.path)
	if err != nil {
		return err
	}
	both := []secret{present}
	old, err := readSecret(daemon.OldCredentialFile(c.path))
	switch {
	case err == nil:
		both = append(both, old)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	c.both, c.seen = both, info
	return nil
}

// matches asks about each secret, and once more when the file was replaced.
func (c *Credential) matches(ask func(secret) int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked(ask) {
		return true
	}
	info, err := os.Stat(c.path)
	if err != nil || os.SameFile(info, c.seen) && info.ModTime().Equal(c.seen.ModTime()) {
		return false
	}
	return c.read() == nil && c.asked(ask)
}

func (c *Credential) asked(ask func(secret) int) bool {
	same := 0
	for _, s := range c.both {
		same |= ask(s)
	}
	return same == 1
}

// Matches tells whether a request carries the credential, in a time that tells
// nothing about it.
func (c *Credential) Matches(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	return ok && c.matches(func(s secret) int { return s.is(user, password) })
}

// MatchesInstance tells whether a request carries the credential, or that of the
// instance. Both are asked of what is known before the file is looked at again.
func (c *Credential) MatchesInstance(r *http.Request, name string) bool {
	user, password, ok := r.BasicAuth()
	return ok && c.matches(func(s secret) int {
		same := s.is(user, password)
		if user == name {
			same |= subtle.ConstantTimeCompare([]byte(password), []byte(messages.InstancePassword(s.password, name)))
		}
		return same
	})
}

func (s secret) is(user, password string) int {
	u, p := sha256.Sum256([]byte(user)), sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(u[:], s.user[:]) & subtle.ConstantTimeCompare(p[:], s.digest[:])
}

// String keeps the password out of logs.
func (c *Credential) String() string { return "credential" }

func readSecret(path string) (secret, error) {
	line, err := readCredential(path)
	if err != nil {
		return secret{}, err
	}
	user, password, ok := strings.Cut(line, ":")
	if !ok || user == "" || password == "" {
		return secret{}, messages.Errorf(messages.CodeStateInvalid, "%s holds no user:password", path).
			WithHint("write one line user:password into it, or delete it to have a new one made")
	}
	return secret{user: sha256.Sum256([]byte(user)), digest: sha256.Sum256([]byte(password)), password: password}, nil
}

func readCredential(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the registry's credential: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", messages.Errorf(messages.CodeStateInvalid, "others may read the credential %s (mode %04o)", path, info.Mode().Perm()).
			WithHint("chmod 600 %s, and write a new password if others may have read it", path)
	}
	if info.Size() > maxCredential {
		return "", messages.Errorf(messages.CodeStateInvalid, "%s holds no user:password", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the registry's credential: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// createCredential puts a complete file there, unless another did so first.
func createCredential(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	secret := make([]byte, 24)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".registry.http-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString("registry:" + hex.EncodeToString(secret) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
