package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"sync"

	"github.com/nats-io/nkeys"

	"github.com/microbosh/microbosh/pkg/messages"
)

// keyLength is that of a public curve key in NATS's base32.
const keyLength = 56

// Ring is a role's curve keys: the one that was present when it was read seals,
// old and newer ones open.
type Ring struct {
	dir, role string // "" for one that lives in memory only
	current   key
	public    string

	mu   sync.RWMutex
	keys map[string]key // guarded by mu; by public key
}

// key is one pair, and what digests are made with.
type key struct {
	pair   nkeys.KeyPair
	digest []byte
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

func newRing(seed []byte) (*Ring, error) {
	r := &Ring{keys: map[string]key{}}
	if err := r.add(seed); err != nil {
		return nil, err
	}
	for public, k := range r.keys {
		r.public, r.current = public, k
	}
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
	digest, err := hkdf.Key(sha256.New, seed, nil, "microbosh digest", sha256.Size)
	if err != nil {
		return err
	}
	r.keys[public] = key{pair, digest}
	return nil
}

// isKey tells whether key is a public curve key. The length comes first: the
// curve library fails on text longer than a key by running out of its buffer.
func isKey(key string) bool { return len(key) == keyLength && nkeys.IsValidPublicCurveKey(key) }

// short names a key in a message, without trusting that it is one.
func short(key string) string {
	if !isKey(key) {
		return "(no key)"
	}
	return key[:12]
}

// String names the ring's key, so that a ring in a log line shows no seed.
func (r *Ring) String() string { return "ring of " + short(r.public) }

// GoString is String, for the same reason.
func (r *Ring) GoString() string { return r.String() }

// Public is the key that others seal to.
func (r *Ring) Public() string { return r.public }

// Own is the key of the ring's role as its folder has it now. What rests is sealed
// to it, so that a key of before is named less and less.
func (r *Ring) Own() string {
	if r.role == "" {
		return r.public
	}
	public, err := PublicKey(r.dir, r.role)
	if err != nil {
		return r.public
	}
	if _, ok := r.find(public); !ok { // its other half is not there yet
		return r.public
	}
	return public
}

// Seal writes v as JSON that only the holder of the key to can read.
func (r *Ring) Seal(to string, v any) (*messages.Sealed, error) {
	if !isKey(to) {
		return nil, messages.Errorf(messages.CodeSealUnreadable, "there is no key to seal to").
			WithHint("start the service that is to read it once, so that it makes its key, or copy its .xpub here")
	}
	clear, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("cannot encode what is to be sealed: %w", err)
	}
	box, err := r.current.pair.Seal(clear, to)
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
	k, ok := r.find(s.To)
	if !ok {
		return r.notOurs(s.To)
	}
	if !isKey(s.From) {
		return messages.Errorf(messages.CodeSealUnreadable, "what is sealed to %s does not name who sealed it", r.named(s.To))
	}
	clear, err := k.pair.Open(s.Box, s.From)
	if err != nil {
		return messages.Errorf(messages.CodeSealUnreadable, "what %s sealed to %s was cut or changed on its way", short(s.From), r.named(s.To)).
			WithHint("send the request again; if that does not help, the two sides use different keys folders")
	}
	if err := json.Unmarshal(clear, into); err != nil {
		return messages.Errorf(messages.CodeSealUnreadable, "what is sealed to %s is not what was expected there", r.named(s.To)).
			WithHint("the two programs are of different versions")
	}
	return nil
}

// find looks among the keys, and in the folder when the key was made since.
func (r *Ring) find(public string) (key, bool) {
	r.mu.RLock()
	k, ok := r.keys[public]
	r.mu.RUnlock()
	if ok || r.role == "" || !isKey(public) {
		return k, ok
	}
	if named, err := PublicKey(r.dir, r.role); err != nil || named != public {
		return key{}, false // not read again for whatever anybody sends
	}
	fresh, err := ReadRing(r.dir, r.role)
	if err != nil {
		return key{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.keys, fresh.keys)
	k, ok = r.keys[public]
	return k, ok
}

// Digest tells two secrets apart without showing either: hex HMAC-SHA256 under
// a key of this ring's own. After Rotate all digests differ: see Recognise.
func (r *Ring) Digest(b []byte) string { return r.current.sum(b) }

// Recognise tells whether the digest is b's under any of the ring's keys, so
// that a rotation makes nothing look changed.
func (r *Ring) Recognise(b []byte, digest string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, k := range r.keys {
		if hmac.Equal([]byte(k.sum(b)), []byte(digest)) {
			return true
		}
	}
	return false
}

func (k key) sum(b []byte) string {
	mac := hmac.New(sha256.New, k.digest)
	mac.Write(b)
	return hex.EncodeToString(mac.Sum(nil))
}
