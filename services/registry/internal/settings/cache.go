package settings

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
)

const (
	maxKnown = 16 << 20 // bytes in memory
	perEntry = 512      // about what an entry costs beside its texts
	maxSteps = 8        // changes that are looked at one by one
	// maxAge bounds how long what was erased from the bucket's stream past the
	// registry, which leaves no newer revision, is still given out.
	maxAge = 10 * time.Second
)

// cache holds instances in memory. Its promise is that nothing older than what
// the bucket's leader held when get was called is given out, whoever wrote it:
// each get first passes a fence that asks the leader for what changed since
// position. Any number of gets share one such question.
type cache struct {
	bucket Bucket
	fence  *fence

	mu       sync.Mutex
	position place            // guarded by mu
	entries  map[string]entry // guarded by mu, by name: true as of position
	size     int              // guarded by mu: bytes of entries
}

// place is a point in the bucket's history. After a reset the same revision is
// another place: the bucket may be another too.
type place struct{ resets, revision uint64 }

type entry struct {
	Instance
	read time.Time
}

func newCache(bucket Bucket) *cache {
	c := &cache{bucket: bucket, entries: map[string]entry{}}
	c.fence = newFence(c.advance)
	return c
}

// get gives an instance that is in memory and true. One that is not in memory
// costs no question.
func (c *cache) get(ctx context.Context, name string) (Instance, bool, error) {
	if _, ok := c.look(name); !ok {
		return Instance{}, false, nil
	}
	if err := c.fence.pass(ctx); err != nil {
		return Instance{}, false, err
	}
	in, ok := c.look(name)
	return in, ok, nil
}

func (c *cache) look(name string) (Instance, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[name]
	if ok && time.Since(e.read) > maxAge {
		c.dropLocked(name)
		return Instance{}, false
	}
	return e.Instance, ok
}

// now is the place to give to put, taken before the bucket is read.
func (c *cache) now() place {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.position
}

// put keeps what was read from the bucket after now gave at. When the position
// has moved since, it may be old already and is not kept.
func (c *cache) put(name string, in Instance, at place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cost := weight(name, in)
	if c.position != at || cost > maxKnown {
		return
	}
	c.dropLocked(name)
	for other := range c.entries {
		if c.size+cost <= maxKnown {
			break
		}
		c.dropLocked(other)
	}
	c.entries[name] = entry{Instance: in, read: time.Now()}
	c.size += cost
}

// reset forgets everything: after a reconnect the bucket may be another one.
func (c *cache) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resetLocked(0)
}

// advance drops what has changed and moves the position to the bucket's last
// change. Several may run at once: the position only moves on, or is reset.
func (c *cache) advance(ctx context.Context) error {
	for range maxSteps {
		at := c.now()
		name, changed, err := c.bucket.Since(ctx, at.revision)
		if errors.Is(err, bus.ErrNone) {
			return nil
		}
		if err != nil {
			return err
		}
		c.change(at, name, changed)
	}
	latest, err := c.bucket.Latest(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resetLocked(latest)
	return nil
}

// change moves the position over the first change after at, unless another did
// so or it was reset.
func (c *cache) change(at place, name string, revision uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.position != at {
		return
	}
	if c.entries[name].Revision < revision {
		c.dropLocked(name)
	}
	c.position.revision = revision
}

func (c *cache) resetLocked(revision uint64) {
	c.entries, c.size = map[string]entry{}, 0
	c.position = place{resets: c.position.resets + 1, revision: revision}
}

func (c *cache) dropLocked(name string) {
	if e, ok := c.entries[name]; ok {
		c.size -= weight(name, e.Instance)
		delete(c.entries, name)
	}
}

func weight(name string, in Instance) int {
	return len(name) + len(in.Settings) + len(in.answer) + perEntry
}
