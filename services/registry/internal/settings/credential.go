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

	"github.com/microbosh/microbosh/pkg/messages"
)

const maxCredential = 1024

// Credential is the user and password of the services at the HTTP API. Each
// instance's own follows from it.
type Credential struct {
	user, digest [sha256.Size]byte
	password     string
}

// OpenCredential reads "user:password" from a file that only its owner can
// read, and makes it when it is missing. Of two processes that do so at once
// both get the same.
func OpenCredential(path string) (Credential, error) {
	line, err := readCredential(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createCredential(path); err != nil {
			return Credential{}, fmt.Errorf("cannot make %s: %w", path, err)
		}
		line, err = readCredential(path)
	}
	if err != nil {
		return Credential{}, err
	}
	user, password, ok := strings.Cut(line, ":")
	if !ok || user == "" || password == "" {
		return Credential{}, messages.Errorf(messages.CodeStateInvalid, "%s holds no user:password", path).
			WithHint("write one line user:password into it, or delete it to have a new one made")
	}
	return Credential{user: sha256.Sum256([]byte(user)), digest: sha256.Sum256([]byte(password)), password: password}, nil
}

// Matches tells whether a request carries the credential, in a time that tells
// nothing about it.
func (c Credential) Matches(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	u, p := sha256.Sum256([]byte(user)), sha256.Sum256([]byte(password))
	same := subtle.ConstantTimeCompare(u[:], c.user[:]) & subtle.ConstantTimeCompare(p[:], c.digest[:])
	return ok && same == 1
}

// MatchesInstance tells whether a request carries the credential of that
// instance.
func (c Credential) MatchesInstance(r *http.Request, name string) bool {
	user, password, ok := r.BasicAuth()
	want := messages.InstancePassword(c.password, name)
	return ok && user == name && subtle.ConstantTimeCompare([]byte(password), []byte(want)) == 1
}

// String keeps the password out of logs.
func (c Credential) String() string { return "credential" }

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
