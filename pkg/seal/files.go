package seal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/microbosh/microbosh/pkg/messages"
)

// maxKeyFile bounds a key file; a seed is 58 bytes.
const maxKeyFile = 1024

var rolePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,40}$`)

// OpenRing reads the role's keys in dir and makes the first when there is none.
// Of two processes that do so at once both get the same key. A key file that
// others can read is refused.
func OpenRing(dir, role string) (*Ring, error) {
	if err := checkRole(role); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, role+".xk")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if _, err = createSeed(dir, path); err != nil {
			return nil, fmt.Errorf("cannot make the key of %s: %w", role, err)
		}
	}
	ring, err := ReadRing(dir, role)
	if err != nil {
		return nil, err
	}
	if err := writePublic(filepath.Join(dir, role+".xpub"), ring.public); err != nil {
		return nil, err
	}
	return ring, nil
}

// ReadRing reads the role's keys in dir and writes nothing. The error has code
// seal_unreadable when there are none.
func ReadRing(dir, role string) (*Ring, error) {
	if err := checkRole(role); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, role+".xk")
	seed, err := readSeed(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, messages.Errorf(messages.CodeSealUnreadable, "there is no key of %s in %s", role, dir).
			WithHint("copy %s.xk from the control plane's folder of keys; a new key would not recognise what the old one did", role)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the key of %s: %w", role, err)
	}
	ring, err := newRing(seed)
	if err != nil {
		return nil, fmt.Errorf("cannot read the key of %s in %s: %w", role, path, err)
	}
	ring.dir, ring.role = dir, role
	old, err := oldKeys(dir, role)
	if err != nil {
		return nil, fmt.Errorf("cannot list the old keys of %s: %w", role, err)
	}
	for n := range old {
		path := oldPath(dir, role, n)
		seed, err := readSeed(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read the old key of %s: %w", role, err)
		}
		if err := ring.add(seed); err != nil {
			return nil, fmt.Errorf("cannot read the old key of %s in %s: %w", role, path, err)
		}
	}
	return ring, nil
}

// Rotate gives the role a new key and keeps the present one as <role>.<n>.xk,
// which still opens. Killed at any moment it leaves keys that open everything.
// Running processes go on: who seals reads the public key anew each time, and a
// ring that meets its role's new key reads it.
func Rotate(dir, role string) (*Ring, error) {
	if _, err := OpenRing(dir, role); err != nil {
		return nil, err
	}
	old, err := oldKeys(dir, role)
	if err != nil {
		return nil, fmt.Errorf("cannot list the old keys of %s: %w", role, err)
	}
	n := 1
	for used := range old {
		n = max(n, used+1)
	}
	path := filepath.Join(dir, role+".xk")
	if err := os.Link(path, oldPath(dir, role, n)); err != nil {
		return nil, fmt.Errorf("cannot keep the old key of %s: %w", role, err)
	}
	_, temp, err := newSeed(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot make the key of %s: %w", role, err)
	}
	if err := errors.Join(os.Rename(temp, path), syncDir(dir)); err != nil {
		return nil, fmt.Errorf("cannot replace the key of %s: %w", role, err)
	}
	return OpenRing(dir, role)
}

// PublicKey reads the public key of a role in dir.
func PublicKey(dir, role string) (string, error) {
	if err := checkRole(role); err != nil {
		return "", err
	}
	path := filepath.Join(dir, role+".xpub")
	b, _, err := readBounded(path)
	if err != nil {
		return "", messages.Errorf(messages.CodeSealUnreadable, "there is no public key of %s in %s: %w", role, dir, err).
			WithHint("the %s has not been started with this folder of keys, or --keys names another one", role)
	}
	key := strings.TrimSpace(string(b))
	if !isKey(key) {
		return "", messages.Errorf(messages.CodeSealUnreadable, "%s holds no public curve key", path).
			WithHint("remove it and start the %s again, which writes it", role)
	}
	return key, nil
}

func checkRole(role string) error {
	if !rolePattern.MatchString(role) {
		return messages.Errorf(messages.CodeInvalidName, "%.60q is no role", role)
	}
	return nil
}

func oldPath(dir, role string, n int) string {
	return filepath.Join(dir, role+"."+strconv.Itoa(n)+".xk")
}

// oldKeys lists the numbers of the role's old keys.
func oldKeys(dir, role string) (map[int]bool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	out := map[int]bool{}
	for _, entry := range entries {
		rest, isRole := strings.CutPrefix(entry.Name(), role+".")
		number, isKey := strings.CutSuffix(rest, ".xk")
		if n, err := strconv.Atoi(number); isRole && isKey && err == nil && strconv.Itoa(n) == number {
			out[n] = true
		}
	}
	return out, nil
}

func readSeed(path string) ([]byte, error) {
	b, mode, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	if mode.Perm()&0o077 != 0 {
		return nil, messages.Errorf(messages.CodeSealUnreadable, "others may read the key %s (mode %04o)", path, mode.Perm()).
			WithHint("chmod 600 %s, and make a new key if others may have read it", path)
	}
	return []byte(strings.TrimSpace(string(b))), nil
}

func readBounded(path string) ([]byte, fs.FileMode, error) {
	// A pipe of that name would be waited for, so it is not opened.
	if info, err := os.Stat(path); err != nil {
		return nil, 0, err
	} else if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is no key file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, 0, err
	}
	if len(b) > maxKeyFile {
		return nil, 0, fmt.Errorf("%s is no key file", path)
	}
	return b, info.Mode(), nil
}

// createSeed links a finished file into place: whoever comes second reads the
// first one's.
func createSeed(dir, path string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	seed, temp, err := newSeed(dir)
	if err != nil {
		return nil, err
	}
	defer os.Remove(temp)
	if err := os.Link(temp, path); errors.Is(err, fs.ErrExist) {
		return readSeed(path)
	} else if err != nil {
		return nil, err
	}
	return seed, syncDir(dir)
}

// newSeed writes a new seed to a file of its own, which the caller moves.
func newSeed(dir string) (seed []byte, path string, err error) {
	pair, err := nkeys.CreateCurveKeys()
	if err != nil {
		return nil, "", err
	}
	if seed, err = pair.Seed(); err != nil {
		return nil, "", err
	}
	temp, err := os.CreateTemp(dir, ".key-*") // 0600
	if err != nil {
		return nil, "", err
	}
	_, err = temp.WriteString(string(seed) + "\n")
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		os.Remove(temp.Name())
		return nil, "", err
	}
	return seed, temp.Name(), nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func writePublic(path, public string) error {
	if b, _, err := readBounded(path); err == nil && strings.TrimSpace(string(b)) == public {
		return nil
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".pub-*")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(public + "\n")
	err = errors.Join(err, temp.Chmod(0o644), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
