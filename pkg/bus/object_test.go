package bus_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
)

const objectName = "micro.5ba9"

// unhurried gives tens of thousands of synced kilobytes the time that a busy
// disk needs for them.
func unhurried(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// big is a part and a bit, different for each seed.
func big(seed byte) []byte {
	out := make([]byte, messages.ObjectPart+messages.ObjectChunk+7)
	rand.NewChaCha8([32]byte{seed}).Read(out)
	return out
}

func opener(data []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

func object(c *bus.Conn, data []byte) *bus.Object {
	return c.Object(messages.BucketStemcell, objectName, int64(len(data)))
}

func put(t *testing.T, ctx context.Context, o *bus.Object, data []byte) (last int64) {
	t.Helper()
	if err := o.Put(ctx, opener(data), func(done int64) { last = done }); err != nil {
		t.Fatal(err)
	}
	return last
}

func readBack(t *testing.T, ctx context.Context, o *bus.Object, data []byte) {
	t.Helper()
	r := o.Open(ctx)
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("read %d of %d bytes, the same: %v: %v", len(got), len(data), bytes.Equal(got, data), err)
	}
}

func held(t *testing.T, ctx context.Context, b *bustest.Bus) jetstream.StreamState {
	t.Helper()
	s, err := raw(t, b.URL()).Stream(ctx, messages.StreamStemcell)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State
}

// What is put is read, by others' tools too; the same is not sent twice,
// another takes its place, and nothing stays of it.
func TestObject(t *testing.T) {
	t.Parallel()
	ctx := unhurried(t)
	b := bustest.Start(t)
	c := b.Connect(t, "t")
	data := big(1)
	o := object(c, data)
	if last := put(t, ctx, o, data); last != o.Size {
		t.Errorf("progress ended at %d of %d", last, o.Size)
	}
	readBack(t, ctx, o, data)
	store, err := raw(t, b.URL()).ObjectStore(ctx, messages.BucketStemcell)
	if err != nil {
		t.Fatal(err)
	}
	if part, err := store.GetBytes(ctx, objectName+".1"); err != nil || !bytes.Equal(part, data[messages.ObjectPart:]) {
		t.Errorf("nats.go reads %d bytes of the last part: %v", len(part), err)
	}
	before := held(t, ctx, b)
	put(t, ctx, o, data)
	if after := held(t, ctx, b); after.LastSeq != before.LastSeq {
		t.Errorf("the same was sent again: %d messages", after.LastSeq-before.LastSeq)
	}
	other := big(2)
	put(t, ctx, o, other)
	readBack(t, ctx, o, other)
	if err := o.Delete(ctx); err != nil {
		t.Fatal(err)
	}
	if left := held(t, ctx, b).Msgs; left != 0 {
		t.Errorf("%d messages stay", left)
	}
	if _, err := o.Open(ctx).Read(make([]byte, 1)); messages.CodeOf(err) != messages.CodeStemcellMissing {
		t.Errorf("a read of what is gone: %v", err)
	}
	if err := o.Delete(ctx); err != nil {
		t.Errorf("deleted again: %v", err)
	}
}

// Who died in the middle of a put goes on with the part he was at, and what he
// left goes with the rest.
func TestObjectAfterADeath(t *testing.T) {
	t.Parallel()
	ctx := unhurried(t)
	b := bustest.Start(t)
	c := b.Connect(t, "t")
	data := big(3)
	o := object(c, data)
	dies, die := context.WithCancel(ctx)
	err := o.Put(dies, opener(data), func(done int64) {
		if done > messages.ObjectPart {
			die()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a put that was ended: %v", err)
	}
	if _, err := io.ReadAll(o.Open(ctx)); messages.CodeOf(err) != messages.CodeStemcellMissing || !strings.Contains(err.Error(), "33554432 of") {
		t.Errorf("a read of a part of it: %v", err)
	}
	before := held(t, ctx, b)
	put(t, ctx, o, data)
	if sent := held(t, ctx, b).LastSeq - before.LastSeq; sent != 3 { // a chunk, the bit, the description
		t.Errorf("%d messages were sent for the last part", sent)
	}
	readBack(t, ctx, o, data)
	if err := o.Delete(ctx); err != nil {
		t.Fatal(err)
	}
	if left := held(t, ctx, b).Msgs; left != 0 {
		t.Errorf("%d messages stay", left)
	}
}

// A cut connection, and a bus that starts again, are only waited for.
func TestObjectOverOutages(t *testing.T) {
	t.Parallel()
	ctx := unhurried(t)
	b := bustest.Start(t)
	proxy := bustest.NewProxy(t, b.URL())
	c := bustest.Connect(t, proxy.URL(), "t")
	data := big(4)
	o := object(c, data)
	cuts := 0
	err := o.Put(ctx, opener(data), func(done int64) {
		if done >= int64(cuts)*messages.ObjectPart/2 {
			proxy.Sever()
			cuts++
		}
	})
	if err != nil || cuts < 3 {
		t.Fatalf("a put with %d cuts: %v", cuts, err)
	}
	r := o.Open(ctx)
	defer r.Close()
	got := make([]byte, len(data))
	for n := range 3 {
		if _, err := io.ReadFull(r, got[n*len(data)/3:(n+1)*len(data)/3]); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			proxy.Sever()
		} else {
			b.Restart()
		}
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) || !bytes.Equal(got, data) {
		t.Errorf("read the same: %v, then %d %v", bytes.Equal(got, data), n, err)
	}
}

// What is taken away while it is read, or has lost a piece, is no silence.
func TestObjectThatGoes(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(t *testing.T, ctx context.Context, o *bus.Object, b *bustest.Bus){
		"removed": func(t *testing.T, ctx context.Context, o *bus.Object, _ *bustest.Bus) {
			if err := o.Delete(ctx); err != nil {
				t.Fatal(err)
			}
		},
		"without its last chunk": func(t *testing.T, ctx context.Context, _ *bus.Object, b *bustest.Bus) {
			s, err := raw(t, b.URL()).Stream(ctx, messages.StreamStemcell)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.DeleteMsg(ctx, s.CachedInfo().State.LastSeq-1); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := unhurried(t)
			b := bustest.Start(t)
			c := b.Connect(t, "t")
			data := big(5)
			o := object(c, data)
			put(t, ctx, o, data)
			r := o.Open(ctx)
			defer r.Close()
			if _, err := r.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			harm(t, ctx, o, b)
			_, err := io.Copy(io.Discard, r)
			if messages.CodeOf(err) != messages.CodeStemcellMissing || messages.AsError(err).Hint == "" {
				t.Errorf("read on: %v", err)
			}
		})
	}
}

// A full store says so, and what to do; once there is room the put goes on.
func TestObjectWithoutRoom(t *testing.T) {
	t.Parallel()
	ctx := unhurried(t)
	b := bustest.Start(t)
	c := b.Connect(t, "t")
	js := raw(t, b.URL())
	s, err := js.Stream(ctx, messages.StreamStemcell)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	roomy := cfg.MaxMsgs
	cfg.MaxMsgs = 3
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	data := big(6)
	o := object(c, data)
	err = o.Put(ctx, opener(data), func(int64) {})
	if messages.CodeOf(err) != messages.CodeBusFull || !strings.Contains(messages.AsError(err).Hint, "nats stream info") {
		t.Errorf("a put into a full store: %v", err)
	}
	cfg.MaxMsgs = roomy
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	put(t, ctx, o, data)
	readBack(t, ctx, o, data)
}

// A source that is not what was said is an error, whichever way.
func TestObjectOfAnotherSize(t *testing.T) {
	t.Parallel()
	ctx := unhurried(t)
	c := bustest.Start(t).Connect(t, "t")
	for _, size := range []int64{4, 6} {
		o := c.Object(messages.BucketStemcell, objectName, size)
		if err := o.Put(ctx, opener([]byte("12345")), func(int64) {}); messages.CodeOf(err) != messages.CodeInternal {
			t.Errorf("5 bytes as %d: %v", size, err)
		}
	}
}
