package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/microbosh/microbosh/pkg/messages"
)

// maxKeyFile bounds a key file; a seed is 58 bytes.
const maxKeyFile = 1024

var rolePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,40}$`)

// Ring is a role's curve keys: the present one seals, old ones still open.
type Ring struct {
	current nkeys.KeyPair
	public  string
	digest  []byte
	keys    map[string]nkeys.KeyPair // by public key
}

// OpenRing reads the role's keys in dir and makes the first when there is none.
// Of two processes that do so at once both get the same key. A key file that
// others can read is refused.
func OpenRing(dir, role string) (*Ring, error) {
	if !rolePattern.MatchString(role) {
		return nil, messages.Errorf(messages.CodeInvalidName, "%q is no role", role)
	}
	path := filepath.Join(dir, role+".xk")
	seed, err := readSeed(path)
	if errors.Is(err, fs.ErrNotExist) {
		if seed, err = createSeed(dir, path); err != nil {
			return nil, fmt.Errorf("cannot make the key of %s: %w", role, err)
		}
	}
	if err != nil {
		return nil, err
	}
	ring, err := newRing(seed)
	if err != nil {
		return nil, fmt.Errorf("cannot read the key of %s in %s: %w", role, path, err)
	}
	if err := writePublic(filepath.Join(dir, role+".xpub"), ring.public); err != nil {
		return nil, err
	}
	old, err := filepath.Glob(filepath.Join(dir, role+".[0-9]*.xk"))
	if err != nil {
		return nil, err
	}
	for _, path := range old {
		seed, err := readSeed(path)
		if err != nil {
			return nil, err
		}
		if err := ring.add(seed); err != nil {
			return nil, fmt.Errorf("cannot read the old key of %s in %s: %w", role, path, err)
		}
	}
	return ring, nil
}

// Ephemeral makes a ring that lives in memory only.
func Ephemeral() (*Ring, error) {
	pair, err := nkeys.CreateCurveKeys()
	if err != nil {
		return nil, fmt.Errorf("cannot make a key: %w", err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, fmt.Errorf("cannot make a key: %w", err)
	}
	return newRing(seed)
}

// PublicKey reads the public key of a role in dir.
func PublicKey(dir, role string) (string, error) {
	path := filepath.Join(dir, role+".xpub")
	b, err := readBounded(path)
	if err != nil {
		return "", messages.Errorf(messages.CodeSealUnreadable, "there is no public key of %s in %s: %w", role, dir, err).
			WithHint("the %s has not been started with this folder of keys, or --keys names another one", role)
	}
	key := strings.TrimSpace(string(b))
	if !nkeys.IsValidPublicCurveKey(key) {
		return "", messages.Errorf(messages.CodeSealUnreadable, "%s holds no public curve key", path)
	}
	return key, nil
}

func newRing(seed []byte) (*Ring, error) {
	r := &Ring{keys: map[string]nkeys.KeyPair{}}
	if err := r.add(seed); err != nil {
		return nil, err
	}
	for public, pair := range r.keys {
		r.public, r.current = public, pair
	}
	digest, err := hkdf.Key(sha256.New, seed, nil, "microbosh digest", sha256.Size)
	if err != nil {
		return nil, err
	}
	r.digest = digest
	return r, nil
}

func (r *Ring) add(seed []byte) error {
	pair, err := nkeys.FromCurveSeed(seed)
	if err != nil {
		return messages.Errorf(messages.CodeSealUnreadable, "it is no curve key")
	}
	public, err := pair.PublicKey()
	if err != nil {
		return err
	}
	r.keys[public] = pair
	return nil
}

// Public is the key that others seal to.
func (r *Ring) Public() string { return r.public }

// Seal writes v as JSON that only the holder of the key to can read.
func (r *Ring) Seal(to string, v any) (*messages.Sealed, error) {
	if !nkeys.IsValidPublicCurveKey(to) {
		return nil, messages.Errorf(messages.CodeSealUnreadable, "there is no key to seal to")
	}
	clear, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("cannot encode what is to be sealed: %w", err)
	}
	box, err := r.current.Seal(clear, to)
	if err != nil {
		return nil, fmt.Errorf("cannot seal: %w", err)
	}
	return &messages.Sealed{To: to, From: r.public, Box: box}, nil
}

// Open reads what was sealed to one of the ring's keys. The error has code
// seal_unreadable and names the key, never the content.
func (r *Ring) Open(s *messages.Sealed, into any) error {
	if s.Empty() {
		return messages.Errorf(messages.CodeSealUnreadable, "nothing is sealed there")
	}
	pair, ok := r.keys[s.To]
	if !ok {
		return messages.Errorf(messages.CodeSealUnreadable, "it is sealed to the key %.12s, which is not among the %d of this role", s.To, len(r.keys)).
			WithHint("it was sealed for another role or control plane, or that key was removed too early")
	}
	clear, err := pair.Open(s.Box, s.From)
	if err != nil {
		return messages.Errorf(messages.CodeSealUnreadable, "what is sealed to the key %.12s was cut or changed on its way", s.To)
	}
	if err := json.Unmarshal(clear, into); err != nil {
		return messages.Errorf(messages.CodeSealUnreadable, "what is sealed to the key %.12s is not what was expected there", s.To)
	}
	return nil
}

// Digest tells two secrets apart without showing either: hex HMAC-SHA256 under
// a key of this ring's own.
func (r *Ring) Digest(b []byte) string {
	mac := hmac.New(sha256.New, r.digest)
	mac.Write(b)
	return hex.EncodeToString(mac.Sum(nil))
}

func readSeed(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, messages.Errorf(messages.CodeSealUnreadable, "others may read the key %s (mode %04o)", path, info.Mode().Perm()).
			WithHint("chmod 600 %s, and make a new key if others may have read it", path)
	}
	b, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return []byte(strings.TrimSpace(string(b))), nil
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeyFile {
		return nil, fmt.Errorf("%s is no key file", path)
	}
	return os.ReadFile(path)
}

// createSeed links a finished file into place: whoever comes second reads the
// first one's.
func createSeed(dir, path string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	pair, err := nkeys.CreateCurveKeys()
	if err != nil {
		return nil, err
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(dir, ".key-*") // 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(append(seed, '\n'))
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(temp.Name(), path); errors.Is(err, fs.ErrExist) {
		return readSeed(path)
	} else if err != nil {
		return nil, err
	}
	return seed, nil
}

func writePublic(path, public string) error {
	if b, err := readBounded(path); err == nil && strings.TrimSpace(string(b)) == public {
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
