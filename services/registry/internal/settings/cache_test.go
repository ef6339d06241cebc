package settings

import (
	"context"
	"fmt"
	"testing"
)

// TestBounded keeps far more than fits.
func TestBounded(t *testing.T) {
	t.Parallel()
	c := newCache(nil)
	for i := range 500 {
		c.put(fmt.Sprint("vm-", i), Instance{Settings: make([]byte, MaxSettings), Revision: uint64(i)}, c.now())
	}
	sum := 0
	for name, e := range c.entries {
		sum += weight(name, e.Instance)
	}
	if c.size != sum || sum > maxKnown || sum < maxKnown-2*MaxSettings {
		t.Errorf("%d bytes are counted, %d are there, at most %d may be", c.size, sum, maxKnown)
	}
	if _, ok := c.entries["vm-499"]; !ok {
		t.Error("what was read last is not kept")
	}
}

// TestOldIsNotKept reads before a change or a reset and comes to put afterwards.
func TestOldIsNotKept(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(*cache){
		"a change": func(c *cache) { c.change(c.now(), "vm-1", 7) },
		"a reset":  func(c *cache) { c.reset() },
	} {
		c := newCache(nil)
		at := c.now()
		happens(c)
		c.put("vm-1", Instance{Revision: 3}, at)
		if _, ok := c.look("vm-1"); ok {
			t.Errorf("after %s the old instance was kept", name)
		}
		c.put("vm-1", Instance{Revision: 8}, c.now())
		c.change(place{revision: 99}, "vm-1", 100) // from a place that is no more
		if _, ok := c.look("vm-1"); !ok {
			t.Errorf("after %s the new instance was not kept", name)
		}
		c.change(c.now(), "vm-1", 8) // what was read ahead of the position
		if _, ok := c.look("vm-1"); !ok {
			t.Errorf("after %s the instance was dropped for its own revision", name)
		}
	}
}

// TestFence has callers come while a step is under way.
func TestFence(t *testing.T) {
	t.Parallel()
	began, end := make(chan int, 100), make(chan struct{})
	steps := 0
	f := newFence(nil)
	f.step = func(context.Context) error {
		f.mu.Lock()
		steps++
		n := steps
		f.mu.Unlock()
		began <- n
		<-end
		return nil
	}
	done := make(chan error, 100)
	pass := func() { done <- f.pass(t.Context()) }
	for want := 1; want <= maxRounds; want++ {
		go pass()
		if n := <-began; n != want {
			t.Fatalf("step %d began, not %d: who came during a step shares it", n, want)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if f.pass(gone) == nil {
		t.Error("who left was let through")
	}
	for range 20 {
		go pass()
	}
	select {
	case <-done:
		t.Fatal("somebody passed before the step ended")
	default:
	}
	close(end)
	for range maxRounds + 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if steps <= maxRounds {
		t.Errorf("%d steps ran: who came later passed with an earlier one", steps)
	}
}
