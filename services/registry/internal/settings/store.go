package settings

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

// MaxSettings is the largest settings document. Quoted, sealed and encoded it
// still fits messages.MaxMessage.
const MaxSettings = 128 * 1024

const (
	maxAddresses = 64
	maxDigest    = 256
	replaceTries = 8
)

// Bucket is the part of *bus.Bucket that a Store needs.
type Bucket interface {
	Get(ctx context.Context, key string) (bus.Entry, error)
	Put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error)
	Delete(ctx context.Context, key string) error
	Since(ctx context.Context, rev uint64) (key string, changed uint64, err error)
	Latest(ctx context.Context) (uint64, error)
}

var _ Bucket = (*bus.Bucket)(nil)

// Instance is what the registry knows of one VM.
type Instance struct {
	Settings  []byte // a JSON object, byte for byte as it was stored
	Digest    string // what the writer tells its document by
	Addresses []netip.Addr
	Revision  uint64

	answer []byte // of the HTTP API; set by Get
}

// Store keeps instances by name. What it has opened it keeps in memory, and
// gives out once the bucket has said, after it was asked for, that nothing newer
// is there.
type Store struct {
	bucket Bucket
	ring   *seal.Ring
	known  *cache
}

// NewStore makes one over a bucket.
func NewStore(bucket Bucket, ring *seal.Ring) *Store {
	return &Store{bucket: bucket, ring: ring, known: newCache(bucket)}
}

// record is the value in the bucket.
type record struct {
	Sealed    *messages.Sealed `json:"sealed"` // a resting
	Digest    string           `json:"digest"`
	Addresses []netip.Addr     `json:"addresses,omitempty"`
}

// resting is what record.Sealed holds. Settings are a string, so that they come
// back byte for byte.
type resting struct {
	Name     string `json:"name"`
	Settings string `json:"settings"`
}

// Get reads an instance. The error has code settings_not_found when there is
// none.
func (s *Store) Get(ctx context.Context, name string) (Instance, error) {
	in, ok, err := s.known.get(ctx, name)
	if err != nil || ok {
		return in, err
	}
	at := s.known.now()
	r, rev, err := s.read(ctx, name)
	if err != nil {
		return Instance{}, err
	}
	var rest resting
	if err := s.ring.Open(r.Sealed, &rest); err != nil {
		return Instance{}, fmt.Errorf("cannot open the settings of %s: %w", name, err)
	}
	if rest.Name != name {
		return Instance{}, messages.Errorf(messages.CodeSealUnreadable, "what is stored as the settings of %s was sealed under another name", name).
			WithHint("somebody wrote to the bucket %s past the registry; deploy again", messages.BucketSettings)
	}
	in = Instance{Settings: []byte(rest.Settings), Digest: r.Digest, Addresses: r.Addresses, Revision: rev}
	in.answer = encoded(answer{Status: statusOK, Settings: &rest.Settings})
	s.known.put(name, in, at)
	return in, nil
}

// Put stores an instance when the stored revision is in.Revision, 0 = there is
// none. When one with the same digest and addresses is there already, that
// one's revision is given: a repeat whose answer was lost. The error has code
// revision_conflict when another is there.
func (s *Store) Put(ctx context.Context, name string, in Instance) (uint64, error) {
	value, err := s.encode(name, in)
	if err != nil {
		return 0, err
	}
	rev, err := s.bucket.Put(ctx, name, value, in.Revision)
	if !errors.Is(err, bus.ErrConflict) {
		return rev, err
	}
	have, rev, readErr := s.read(ctx, name)
	switch {
	case readErr != nil && messages.CodeOf(readErr) != messages.CodeSettingsNotFound:
		return 0, readErr
	case readErr == nil && in.Digest != "" && have.Digest == in.Digest && slices.Equal(have.Addresses, in.Addresses):
		return rev, nil
	}
	return 0, messages.Errorf(messages.CodeConflict, "the settings of %s were written by somebody else meanwhile: %w", name, err).
		WithHint("read them again and decide anew")
}

// Replace stores a document under name whatever is there, and keeps the
// recorded addresses.
func (s *Store) Replace(ctx context.Context, name string, document []byte) error {
	for range replaceTries {
		in := Instance{Settings: document, Digest: s.ring.Digest(document)}
		have, rev, err := s.read(ctx, name)
		switch {
		case err == nil:
			in.Addresses, in.Revision = have.Addresses, rev
		case messages.CodeOf(err) != messages.CodeSettingsNotFound:
			return err
		}
		_, err = s.Put(ctx, name, in)
		if messages.CodeOf(err) != messages.CodeConflict {
			return err
		}
	}
	return messages.Errorf(messages.CodeConflict, "the settings of %s are written by others all the time", name)
}

// Delete removes an instance; an absent one is no error.
func (s *Store) Delete(ctx context.Context, name string) error {
	if _, err := messages.ParseToken("instance name", name); err != nil {
		return err
	}
	return s.bucket.Delete(ctx, name)
}

func (s *Store) read(ctx context.Context, name string) (record, uint64, error) {
	if _, err := messages.ParseToken("instance name", name); err != nil {
		return record{}, 0, err
	}
	e, err := s.bucket.Get(ctx, name)
	if errors.Is(err, bus.ErrNone) {
		return record{}, 0, messages.Errorf(messages.CodeSettingsNotFound, "there are no settings of %s", name).
			WithHint("the VM was deleted, or made by another control plane")
	}
	if err != nil {
		return record{}, 0, err
	}
	var r record
	if err := json.Unmarshal(e.Value, &r); err != nil {
		return record{}, 0, messages.Errorf(messages.CodeMalformed, "what is stored as the settings of %s cannot be read", name)
	}
	return r, e.Revision, nil
}

func (s *Store) encode(name string, in Instance) ([]byte, error) {
	if _, err := messages.ParseToken("instance name", name); err != nil {
		return nil, err
	}
	if err := check(in); err != nil {
		return nil, err
	}
	box, err := s.ring.Seal(s.ring.Own(), resting{Name: name, Settings: string(in.Settings)})
	if err != nil {
		return nil, err
	}
	value, err := json.Marshal(record{Sealed: box, Digest: in.Digest, Addresses: in.Addresses})
	if err != nil {
		return nil, fmt.Errorf("cannot encode the settings of %s: %w", name, err)
	}
	return value, nil
}

// check refuses what no agent could boot from.
func check(in Instance) error {
	switch {
	case len(in.Settings) > MaxSettings:
		return messages.Errorf(messages.CodeTooLarge, "the settings are %d bytes, at most %d are stored", len(in.Settings), MaxSettings).
			WithHint("the manifest's env is the part that grows")
	case len(in.Addresses) > maxAddresses || len(in.Digest) > maxDigest:
		return messages.Errorf(messages.CodeTooLarge, "too many addresses or too long a digest come with the settings")
	}
	text := bytes.TrimSpace(in.Settings)
	if len(text) == 0 || text[0] != '{' || !json.Valid(text) {
		return messages.Errorf(messages.CodeMalformed, "the settings are no JSON object")
	}
	return nil
}
