package bus

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Object is something large in a NATS object store: Size bytes in objects named
// <Name>.0, <Name>.1 and so on, each of messages.ObjectPart bytes but the last. One
// object of all of them would overrun the stream's queue, and could not be gone
// on with after a break. `nats object` shows and reads them.
//
// The chunks' subjects begin with Name, unlike those that nats.go makes: so what
// a killed Put left is found and removed with the rest.
type Object struct {
	Name   string // of subject tokens
	Size   int64
	bucket string
	c      *Conn
}

var errChanged = errors.New("what was put before is not the same")

// Object names one; nothing is asked.
func (c *Conn) Object(bucket, name string, size int64) *Object {
	return &Object{Name: name, Size: size, bucket: bucket, c: c}
}

func (o *Object) stream() string { return "OBJ_" + o.bucket }

// parts is how many there are, and size how many bytes the n-th has.
func (o *Object) parts() int64 { return (o.Size + messages.ObjectPart - 1) / messages.ObjectPart }

func (o *Object) size(n int64) int64 {
	return min(messages.ObjectPart, o.Size-n*messages.ObjectPart)
}

func (o *Object) part(n int64) string { return fmt.Sprintf("%s.%d", o.Name, n) }

func (o *Object) infoSubject(n int64) string {
	return messages.ObjectInfoSubject(o.bucket, base64.URLEncoding.EncodeToString([]byte(o.part(n))))
}

// info describes a part as the leader knows it, or gives ErrNone.
func (o *Object) info(ctx context.Context, n int64) (jetstream.ObjectInfo, error) {
	var info jetstream.ObjectInfo
	m, err := o.c.Last(ctx, o.stream(), o.infoSubject(n))
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(m.Data, &info); err != nil {
		return info, messages.Errorf(messages.CodeMalformed, "the description of %s cannot be read: %w", o.part(n), err)
	}
	if info.Deleted {
		return info, ErrNone
	}
	info.ModTime = m.Time
	return info, nil
}

// Put stores what open gives. Parts that are there already are read and compared
// but not sent again. open is called once more when they turn out to be of
// something else. progress hears how many bytes are there.
func (o *Object) Put(ctx context.Context, open func() (io.ReadCloser, error), progress func(done int64)) error {
	err := o.putFrom(ctx, open, progress)
	if errors.Is(err, errChanged) {
		if err := o.Delete(ctx); err != nil {
			return err
		}
		err = o.putFrom(ctx, open, progress)
	}
	return err
}

func (o *Object) putFrom(ctx context.Context, open func() (io.ReadCloser, error), progress func(int64)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	for n := range o.parts() {
		if err := o.putPart(ctx, n, r, progress); err != nil {
			return err
		}
	}
	// The end tells whether it was the right thing.
	switch extra, err := io.Copy(io.Discard, r); {
	case err != nil:
		return err
	case extra > 0:
		return messages.Errorf(messages.CodeInternal, "%s has %d bytes more than was said", o.Name, extra)
	}
	return nil
}

// putPart stores the next part of r, or passes over it. A part that is half old
// already is put anew: it could end before it is read.
func (o *Object) putPart(ctx context.Context, n int64, r io.Reader, progress func(int64)) error {
	info, err := o.info(ctx, n)
	if err != nil && !errors.Is(err, ErrNone) {
		return err
	}
	there := err == nil && int64(info.Size) == o.size(n) && time.Since(info.ModTime) < messages.StemcellAge/2
	sum := sha256.New()
	id := o.part(n) + "." + newID()
	chunk := make([]byte, messages.ObjectChunk)
	var last uint64
	var chunks uint32
	for left := o.size(n); left > 0; {
		piece := chunk[:min(left, int64(len(chunk)))]
		if _, err := io.ReadFull(r, piece); err != nil {
			return o.ended(err)
		}
		sum.Write(piece)
		left -= int64(len(piece))
		if !there {
			// One after the other: they must lie there in this order, also after a
			// break in which nobody knows which of them arrived.
			last, err = o.c.Append(ctx, Append{
				Subject: messages.ObjectSubject(o.bucket, id), Last: last, ID: fmt.Sprintf("%s.%d", id, chunks), Data: piece,
			})
			if err != nil {
				return o.refused(err)
			}
			chunks++
		}
		progress(n*messages.ObjectPart + o.size(n) - left)
	}
	if there {
		if info.Digest != digest(sum) {
			return errChanged
		}
		return nil
	}
	return o.describe(ctx, n, jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{Name: o.part(n), Opts: &jetstream.ObjectMetaOptions{ChunkSize: messages.ObjectChunk}},
		Bucket:     o.bucket, NUID: id, Size: uint64(o.size(n)), Chunks: chunks, Digest: digest(sum),
	})
}

// describe makes a part one that is there.
func (o *Object) describe(ctx context.Context, n int64, info jetstream.ObjectInfo) error {
	data, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("cannot describe %s: %w", o.part(n), err)
	}
	subject := o.infoSubject(n)
	header := nats.Header{jetstream.MsgRollup: []string{jetstream.MsgRollupSubject}}
	err = o.c.retry(ctx, "describe "+o.part(n), func(ctx context.Context) error {
		_, err := o.c.publish(ctx, subject, data, header, []jetstream.PublishOpt{jetstream.WithRetryAttempts(0)})
		return err
	})
	return o.refused(err)
}

// Delete removes the object and whatever a Put of it left. An absent one is no
// error.
func (o *Object) Delete(ctx context.Context) error {
	for n := range o.parts() { // first what says that they are there
		if err := o.purge(ctx, o.infoSubject(n)); err != nil {
			return err
		}
	}
	return o.purge(ctx, messages.ObjectSubject(o.bucket, o.Name+".>"))
}

func (o *Object) purge(ctx context.Context, filter string) error {
	body, err := json.Marshal(map[string]string{"filter": filter})
	if err != nil {
		return fmt.Errorf("cannot encode a purge: %w", err)
	}
	return o.c.retry(ctx, "remove "+o.Name, func(ctx context.Context) error {
		var reply struct {
			Error *jetstream.APIError `json:"error"`
		}
		if err := o.c.api(ctx, "STREAM.PURGE."+o.stream(), body, &reply); err != nil {
			return err
		}
		switch {
		case reply.Error == nil:
			return nil
		case reply.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound:
			return noStream(o.stream())
		}
		return reply.Error
	})
}

// refused puts into words that there is no room.
func (o *Object) refused(err error) error {
	if serverCode(err) != codeStoreFailed {
		return err
	}
	return messages.Errorf(messages.CodeBusFull, "the bus has no room for %s (%d bytes): %w", o.Name, o.Size, err).
		WithHint("`nats stream info %s` shows what is there; it goes when its deploy has ended, or after %s", o.stream(), messages.StemcellAge)
}

func digest(h hash.Hash) string { return jetstream.GetObjectDigestValue(h) }

// ended says that the source has fewer bytes than it was said to have.
func (o *Object) ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return messages.Errorf(messages.CodeInternal, "%s has fewer than %d bytes: %w", o.Name, o.Size, err)
	}
	return err
}
