package statefile

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/microbosh/microbosh/pkg/messages"
)

// FolderName is the state folder beside a manifest.
const FolderName = ".microbosh"

const (
	uidLength   = 12
	uidAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	maxFile     = 64 << 10
)

// Identities keeps the uids of the deployments of one state folder.
type Identities struct{ dir string }

// NewIdentities opens the uids of a state folder, which need not exist yet.
func NewIdentities(folder string) *Identities {
	return &Identities{dir: filepath.Join(folder, "deployments")}
}

type identity struct {
	UID string `json:"uid"`
}

// Get gives the uid of a deployment, "" when none is remembered.
func (i *Identities) Get(name string) (string, error) {
	path, err := i.path(name)
	if err != nil {
		return "", err
	}
	b, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot read the identity of %s: %w", name, err)
	}
	var id identity
	if json.Unmarshal(b, &id) != nil {
		id = identity{}
	}
	if _, err := messages.ParseUID(id.UID); err != nil {
		return "", messages.Errorf(messages.CodeStateInvalid, "cannot read %s: it holds no uid", path).
			WithHint("restore the file; `microbosh status --json` shows the uid that the journal knows")
	}
	return id.UID, nil
}

// Mint makes a new uid for a deployment and has it on disk before it returns.
func (i *Identities) Mint(name string) (string, error) {
	uid, err := newUID()
	if err != nil {
		return "", err
	}
	return uid, i.Put(name, uid)
}

// Put remembers a uid.
func (i *Identities) Put(name, uid string) error {
	path, err := i.path(name)
	if err != nil {
		return err
	}
	return writeJSON(path, "the identity of "+name, identity{UID: uid})
}

// Forget drops the uid of a deployment that is no more.
func (i *Identities) Forget(name string) error {
	path, err := i.path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot forget the identity of %s: %w", name, err)
	}
	return nil
}

func (i *Identities) path(name string) (string, error) {
	name, err := messages.ParseDeployment(name)
	if err != nil {
		return "", err
	}
	return filepath.Join(i.dir, name+".json"), nil
}

// newUID draws letters without bias: bytes beyond the last whole alphabet are
// drawn again.
func newUID() (string, error) {
	const whole = 256 - 256%len(uidAlphabet)
	out := make([]byte, 0, uidLength)
	var b [1]byte
	for len(out) < uidLength {
		if _, err := rand.Read(b[:]); err != nil {
			return "", fmt.Errorf("cannot draw a uid: %w", err)
		}
		if int(b[0]) < whole {
			out = append(out, uidAlphabet[int(b[0])%len(uidAlphabet)])
		}
	}
	return string(out), nil
}
