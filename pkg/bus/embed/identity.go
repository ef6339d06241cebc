package embed

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/microbosh/microbosh/pkg/messages"
)

const maxKeyFile = 1024

// KeyFile is where the folder of a bus keeps the seed of a role.
func KeyFile(dir string, role messages.Role) string {
	return filepath.Join(dir, "keys", role+".nk")
}

// AgentPasswordFile is where the folder of a bus keeps the password of the user
// agent.
func AgentPasswordFile(dir string) string { return filepath.Join(dir, "keys", "agent.password") }

// identities reads each role's key, and makes those that are missing.
func identities(keys string) ([]*server.NkeyUser, []*server.User, error) {
	var nks []*server.NkeyUser
	var users []*server.User
	for _, p := range messages.Permissions() {
		if p.Role == messages.RoleAgent {
			password, err := secret(filepath.Join(keys, "agent.password"), newPassword)
			if err != nil {
				return nil, nil, err
			}
			users = append(users, &server.User{Username: messages.RoleAgent, Password: password, Permissions: permissions(p)})
			continue
		}
		path := filepath.Join(keys, p.Role+".nk")
		seed, err := secret(path, newSeed)
		if err != nil {
			return nil, nil, err
		}
		pair, err := nkeys.FromSeed([]byte(seed))
		if err != nil {
			return nil, nil, messages.Errorf(messages.CodeStateInvalid, "cannot read the bus key %s: it holds no nkey seed", path).
				WithHint("restore the file, or delete it to have a new key made (programs that hold the old one are locked out)")
		}
		public, err := pair.PublicKey()
		pair.Wipe()
		if err != nil {
			return nil, nil, fmt.Errorf("cannot read the bus key %s: %w", path, err)
		}
		nks = append(nks, &server.NkeyUser{Nkey: public, Permissions: permissions(p)})
	}
	return nks, users, nil
}

func permissions(p messages.Permission) *server.Permissions {
	out := &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: p.Publish},
		Subscribe: &server.SubjectPermission{Allow: p.Subscribe},
	}
	if p.Respond {
		out.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: answerWait}
	}
	return out
}

// secret reads a one-line secret, made by make when it is missing.
func secret(path string, create func() (string, error)) (string, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err := create()
		if err != nil {
			return "", fmt.Errorf("cannot make %s: %w", path, err)
		}
		if err := renameio.WriteFile(path, []byte(text+"\n"), 0o600, renameio.IgnoreUmask()); err != nil {
			return "", fmt.Errorf("cannot write %s: %w", path, err)
		}
		return text, nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", path, err)
	}
	text := strings.TrimSpace(string(b))
	if text == "" || len(b) > maxKeyFile {
		return "", messages.Errorf(messages.CodeStateInvalid, "%s holds no key", path).
			WithHint("restore the file, or delete it to have a new one made")
	}
	return text, nil
}

func newSeed() (string, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	seed, err := pair.Seed()
	return string(seed), err
}

func newPassword() (string, error) {
	b := make([]byte, 24)
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	return hex.EncodeToString(b), nil
}
