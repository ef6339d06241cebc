package bus

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// hearFor is how long a chunk may be silent before the leader is asked whether
// it is still there.
const hearFor = 2 * time.Second

// ObjectReader reads an object as one stream. An outage of the bus only makes it
// wait; what is gone from the bus it says. The digest is the reader's business:
// it knows what it wants.
type ObjectReader struct {
	ctx  context.Context
	o    *Object
	at   int64  // bytes read
	rest []byte // of the chunk at hand

	feed    *Feed
	subject string // of the part's chunks
	seq     uint64 // of the last chunk
	left    int64  // bytes of the part that have not come
}

// Open reads the object from its beginning.
func (o *Object) Open(ctx context.Context) *ObjectReader { return &ObjectReader{ctx: ctx, o: o} }

func (r *ObjectReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.at >= r.o.Size {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	r.at += int64(n)
	return n, nil
}

// next waits for the next chunk.
func (r *ObjectReader) next() error {
	if r.feed == nil {
		if err := r.open(r.at / messages.ObjectPart); err != nil {
			return err
		}
	}
	m, err := r.hear()
	if err != nil {
		return err
	}
	if len(m.Data) == 0 || int64(len(m.Data)) > r.left {
		return r.gone("has other bytes than was said")
	}
	r.rest, r.seq = m.Data, m.Seq
	if r.left -= int64(len(m.Data)); r.left == 0 {
		r.drop()
	}
	return nil
}

func (r *ObjectReader) open(n int64) error {
	info, err := r.o.info(r.ctx, n)
	switch {
	case errors.Is(err, ErrNone):
		return r.gone("is not there")
	case err != nil:
		return err
	case int64(info.Size) != r.o.size(n):
		return r.gone("has other bytes than was said")
	}
	r.subject, r.seq, r.left = messages.ObjectSubject(r.o.bucket, info.NUID), 0, r.o.size(n)
	r.feed, err = r.o.c.Follow(r.ctx, r.o.stream(), []string{r.subject}, Start{Ahead: readAhead})
	return err
}

// readAhead is how many chunks may wait in memory.
const readAhead = 16

// hear gives the next chunk, or says that there is none.
func (r *ObjectReader) hear() (Msg, error) {
	for {
		ctx, cancel := context.WithTimeout(r.ctx, hearFor)
		m, err := r.feed.Next(ctx)
		cancel()
		if err == nil || r.ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return m, err
		}
		_, err = r.o.c.get(r.ctx, r.o.stream(), getRequest{Seq: r.seq + 1, Next: r.subject})
		switch {
		case errors.Is(err, ErrNone):
			return Msg{}, r.gone("was removed while it was read")
		case err != nil:
			return Msg{}, err
		}
	}
}

func (r *ObjectReader) gone(how string) error {
	return messages.Errorf(messages.CodeStemcellMissing, "%s on the bus %s after %d of %d bytes", r.o.Name, how, r.at, r.o.Size).
		WithHint("run the same command again: it puts there what is missing; what nobody reads is kept for %s", messages.StemcellAge)
}

func (r *ObjectReader) drop() {
	if r.feed != nil {
		r.feed.Stop()
		r.feed = nil
	}
}

// Close ends the reading.
func (r *ObjectReader) Close() error {
	r.drop()
	return nil
}
