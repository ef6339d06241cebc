package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nkeys"

	"github.com/microbosh/microbosh/pkg/messages"
)

// keyLength is that of a public curve key in NATS's base32.
const keyLength = 56

// Ring is a role's curve keys: the present one seals, old ones still open.
type Ring struct {
	current nkeys.KeyPair
	public  string
	digest  []byte
	keys    map[string]nkeys.KeyPair // by public key
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
		return messages.Errorf(messages.CodeSealUnreadable, "it is sealed to the key %s, which is not among the %d of this role", short(s.To), len(r.keys)).
			WithHint("it was sealed for another role or control plane, or that key was removed too early")
	}
	if !isKey(s.From) {
		return messages.Errorf(messages.CodeSealUnreadable, "what is sealed to the key %s does not name who sealed it", short(s.To))
	}
	clear, err := pair.Open(s.Box, s.From)
	if err != nil {
		return messages.Errorf(messages.CodeSealUnreadable, "what %s sealed to the key %s was cut or changed on its way", short(s.From), short(s.To)).
			WithHint("send the request again; if that does not help, the two sides use different keys folders")
	}
	if err := json.Unmarshal(clear, into); err != nil {
		return messages.Errorf(messages.CodeSealUnreadable, "what is sealed to the key %s is not what was expected there", short(s.To)).
			WithHint("the two programs are of different versions")
	}
	return nil
}

// Digest tells two secrets apart without showing either: hex HMAC-SHA256 under
// a key of this ring's own. After Rotate all digests differ, which can only make
// something look changed that is not.
func (r *Ring) Digest(b []byte) string {
	mac := hmac.New(sha256.New, r.digest)
	mac.Write(b)
	return hex.EncodeToString(mac.Sum(nil))
}
