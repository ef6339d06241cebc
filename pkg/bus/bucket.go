package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/microbosh/microbosh/pkg/messages"
)

const (
	opHeader = "KV-Operation" // as NATS KV marks its tombstones
	opDelete = "DEL"
	opPurge  = "PURGE"
)

// Bucket is a NATS key-value bucket, read from the leader and written by
// compare-and-set.
type Bucket struct {
	c      *Conn
	stream string
	prefix string
}

// Entry is a value and its revision.
type Entry struct {
	Value    []byte
	Revision uint64
}

// Bucket opens a provisioned bucket.
func (c *Conn) Bucket(ctx context.Context, name string) (*Bucket, error) {
	b := &Bucket{c: c, stream: "KV_" + name, prefix: "$KV." + name + "."}
	_, err := c.Last(ctx, b.stream, b.prefix+">")
	if err != nil && !errors.Is(err, ErrNone) {
		return nil, err
	}
	return b, nil
}

// Get gives the current value of key, or ErrNone.
func (b *Bucket) Get(ctx context.Context, key string) (Entry, error) {
	if _, err := messages.ParseToken("key", key); err != nil {
		return Entry{}, err
	}
	m, err := b.c.Last(ctx, b.stream, b.prefix+key)
	if err != nil {
		return Entry{}, err
	}
	if tombstone(m) {
		return Entry{}, ErrNone
	}
	return Entry{Value: m.Data, Revision: m.Seq}, nil
}

// Since gives the first change of any key after revision rev, or ErrNone: what
// was read at rev or later is then still what is there.
func (b *Bucket) Since(ctx context.Context, rev uint64) (key string, changed uint64, err error) {
	request := getRequest{Seq: rev + 1, Next: b.prefix + ">"}
	if b.c.nothing(b.stream, request) {
		return "", 0, ErrNone
	}
	m, err := b.c.get(ctx, b.stream, request)
	if err != nil {
		return "", 0, err
	}
	return strings.TrimPrefix(m.Subject, b.prefix), m.Seq, nil
}

// Latest is the revision of the last change of any key, 0 when there was none.
func (b *Bucket) Latest(ctx context.Context) (uint64, error) {
	m, err := b.c.Last(ctx, b.stream, b.prefix+">")
	if errors.Is(err, ErrNone) {
		return 0, nil
	}
	return m.Seq, err
}

// OnReconnect has call called after each reconnect of the bucket's connection.
func (b *Bucket) OnReconnect(call func()) (forget func()) { return b.c.OnReconnect(call) }

// Put stores value when the key's revision is rev, or, for rev 0, when it has
// no value. ErrConflict otherwise.
func (b *Bucket) Put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	if _, err := messages.ParseToken("key", key); err != nil {
		return 0, err
	}
	seq, err := b.write(ctx, key, value, rev, nil)
	if rev != 0 || !errors.Is(err, ErrConflict) {
		return seq, err
	}
	m, lastErr := b.c.Last(ctx, b.stream, b.prefix+key)
	if lastErr != nil && !errors.Is(lastErr, ErrNone) {
		return 0, lastErr
	}
	if lastErr == nil && !tombstone(m) {
		return 0, err
	}
	return b.write(ctx, key, value, m.Seq, nil)
}

// Delete removes key's value, whatever it is. An absent one is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if _, err := messages.ParseToken("key", key); err != nil {
		return err
	}
	for {
		m, err := b.c.Last(ctx, b.stream, b.prefix+key)
		if errors.Is(err, ErrNone) || (err == nil && tombstone(m)) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = b.write(ctx, key, nil, m.Seq, nats.Header{opHeader: []string{opDelete}})
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

func (b *Bucket) write(ctx context.Context, key string, value []byte, rev uint64, h nats.Header) (uint64, error) {
	subject := b.prefix + key
	seq, err := b.c.append(ctx, Append{Subject: subject, Last: rev, ID: newID(), Data: value}, h)
	if err != nil {
		return 0, fmt.Errorf("cannot write %s: %w", key, err)
	}
	return seq, nil
}

func tombstone(m Msg) bool {
	op := m.header.Get(opHeader)
	return op == opDelete || op == opPurge
}

// newID is a fresh id, one subject token.
func newID() string { return nats.NewInbox()[len(nats.InboxPrefix):] }
