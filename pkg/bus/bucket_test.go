package bus_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
)

func TestBucket(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	c := b.Connect(t, "t")
	if _, err := c.Bucket(ctx, "none"); messages.CodeOf(err) != messages.CodeBusUnreachable {
		t.Errorf("a missing bucket: %v", err)
	}
	kv, err := c.Bucket(ctx, messages.BucketSettings)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Get(ctx, "vm-1"); !errors.Is(err, bus.ErrNone) {
		t.Errorf("Get of nothing: %v", err)
	}
	if err := kv.Delete(ctx, "vm-1"); err != nil {
		t.Errorf("Delete of nothing: %v", err)
	}
	r1, err := kv.Put(ctx, "vm-1", []byte("one"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(ctx, "vm-1", []byte("other"), 0); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("a second create: %v", err)
	}
	r2, err := kv.Put(ctx, "vm-1", []byte("two"), r1)
	if err != nil || r2 <= r1 {
		t.Fatalf("an update: %d %v", r2, err)
	}
	if _, err := kv.Put(ctx, "vm-1", []byte("late"), r1); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("a late update: %v", err)
	}
	if e, err := kv.Get(ctx, "vm-1"); err != nil || string(e.Value) != "two" || e.Revision != r2 {
		t.Errorf("Get: %+v %v", e, err)
	}
	if err := kv.Delete(ctx, "vm-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Get(ctx, "vm-1"); !errors.Is(err, bus.ErrNone) {
		t.Errorf("Get of a deleted key: %v", err)
	}
	if _, err := kv.Put(ctx, "vm-1", []byte("again"), 0); err != nil {
		t.Errorf("a create over a tombstone: %v", err)
	}
	for _, key := range []string{"", "a.b", "*", ">", "a b", strings.Repeat("x", 200)} {
		if _, err := kv.Put(ctx, key, nil, 0); messages.CodeOf(err) != messages.CodeInvalidName {
			t.Errorf("the key %q: %v", key, err)
		}
	}
	// NATS' own tools see the same.
	theirs, err := raw(t, b.URL()).KeyValue(ctx, messages.BucketSettings)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := theirs.Get(ctx, "vm-1"); err != nil || string(e.Value()) != "again" {
		t.Errorf("jetstream's own client: %v %v", e, err)
	}
	if err := theirs.Delete(ctx, "vm-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Get(ctx, "vm-1"); !errors.Is(err, bus.ErrNone) {
		t.Errorf("Get of a key that they deleted: %v", err)
	}
}

func TestBucketRace(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Cluster(t)
	var won atomic.Int64
	var group sync.WaitGroup
	for range 4 {
		c := b.Connect(t, "t")
		group.Go(func() {
			kv, err := c.Bucket(ctx, messages.BucketSettings)
			if err != nil {
				t.Error(err)
				return
			}
			_, err = kv.Put(ctx, "vm-1", []byte("x"), 0)
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, bus.ErrConflict):
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("%d creates won", won.Load())
	}
}
