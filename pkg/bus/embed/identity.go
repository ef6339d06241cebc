package embed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

const maxKeyFile = 1024

// KeyFile is where the folder of a bus keeps the seed of a role.
func KeyFile(dir string, role messages.Role) string {
	return filepath.Join(dir, "keys", role+".nk")
}

// SealRoles are the roles that have a curve key: those that read what is sealed,
// and the command line, which tells manifests apart with its own.
func SealRoles() []messages.Role {
	return []messages.Role{messages.RoleCLI, messages.RoleOrchestrator, messages.RoleCPI, messages.RoleRegistry}
}

// IssuerFile is where a folder of keys keeps the seed that signs the logins of
// agents.
func IssuerFile(keys string) string { return filepath.Join(keys, "registry.issuer") }

// Warden is the registry's identity in the system account, as PublicUsers and
// RotateUser call it.
const Warden = "registry.sys"

// RotateIssuer makes another seed that signs logins, and keeps the present one
// beside it: each server says whose signature it expects.
func RotateIssuer(keys string) error {
	return replace(IssuerFile(keys), bus.OldIssuerFile(IssuerFile(keys)), nkeys.CreateAccount)
}

// OldUserFile is the seed that a role had before the last rotation.
func OldUserFile(keys string, role messages.Role) string {
	return filepath.Join(keys, role+".old.nk")
}

// EnsureIssuer gives the public half of the seed that signs logins, made when it
// is missing.
func EnsureIssuer(keys string) (string, error) {
	return publicKey(IssuerFile(keys), nkeys.CreateAccount)
}

// PublicUsers are the keys that a role logs in with: the present one, made when
// it is missing, and that of before the last rotation.
func PublicUsers(keys string, role messages.Role) ([]string, error) {
	public, err := publicKey(filepath.Join(keys, role+".nk"), nkeys.CreateUser)
	if err != nil {
		return nil, err
	}
	old := OldUserFile(keys, role)
	if _, err := os.Stat(old); err != nil {
		return []string{public}, nil
	}
	former, err := publicKey(old, nkeys.CreateUser)
	if err != nil || former == public {
		return []string{public}, err
	}
	return []string{public, former}, nil
}

// RotateUser gives a role a new seed and keeps the present one as the old one;
// the one before that is forgotten.
func RotateUser(keys string, role messages.Role) error {
	return replace(filepath.Join(keys, role+".nk"), OldUserFile(keys, role), nkeys.CreateUser)
}

// replace puts a new seed in place and keeps the present one. Killed between,
// both are the present one.
func replace(path, old string, create func() (nkeys.KeyPair, error)) error {
	seed, err := secret(path, func() (string, error) { return newSeed(create) })
	if err != nil {
		return err
	}
	fresh, err := newSeed(create)
	if err != nil {
		return fmt.Errorf("cannot make %s: %w", path, err)
	}
	for _, f := range [][2]string{{old, seed}, {path, fresh}} {
		if err := renameio.WriteFile(f[0], []byte(f[1]+"\n"), 0o600, renameio.IgnoreUmask()); err != nil {
			return fmt.Errorf("cannot write %s: %w", f[0], err)
		}
	}
	return nil
}

// identities reads each role's keys, and makes those that are missing. Whoever
// has none of them is asked about at the registry.
func identities(keys string, o *server.Options) error {
	for _, role := range SealRoles() {
		if _, err := seal.OpenRing(keys, role); err != nil {
			return err
		}
	}
	callout := &server.AuthCallout{Account: "$G"}
	system := server.NewAccount("$SYS")
	o.Accounts, o.SystemAccount = []*server.Account{system}, "$SYS"
	for _, p := range messages.Permissions() {
		if p.Role == messages.RoleAgent {
			continue
		}
		public, err := PublicUsers(keys, p.Role)
		if err != nil {
			return err
		}
		for _, key := range public {
			callout.AuthUsers = append(callout.AuthUsers, key)
			o.Nkeys = append(o.Nkeys, &server.NkeyUser{Nkey: key, Permissions: permissions(p)})
		}
	}
	wardens, err := PublicUsers(keys, Warden)
	if err != nil {
		return err
	}
	for _, key := range wardens {
		callout.AuthUsers = append(callout.AuthUsers, key)
		o.Nkeys = append(o.Nkeys, &server.NkeyUser{Nkey: key, Account: system, Permissions: permissions(messages.WardenPermission())})
	}
	if callout.Issuer, err = EnsureIssuer(keys); err != nil {
		return err
	}
	o.AuthCallout = callout
	return nil
}

// publicKey reads the public half of a seed, made when it is missing.
func publicKey(path string, create func() (nkeys.KeyPair, error)) (string, error) {
	seed, err := secret(path, func() (string, error) { return newSeed(create) })
	if err != nil {
		return "", err
	}
	pair, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return "", messages.Errorf(messages.CodeStateInvalid, "cannot read the bus key %s: it holds no nkey seed", path).
			WithHint("restore the file, or delete it to have a new key made (programs that hold the old one are locked out)")
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		return "", fmt.Errorf("cannot read the bus key %s: %w", path, err)
	}
	return public, nil
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

func newSeed(create func() (nkeys.KeyPair, error)) (string, error) {
	pair, err := create()
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	seed, err := pair.Seed()
	return string(seed), err
}
