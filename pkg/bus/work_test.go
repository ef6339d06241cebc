package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
)

var steps = messages.StepConsumer("openstack")

func sendSteps(t *testing.T, ctx context.Context, c *bus.Conn, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := c.Send(ctx, messages.StepSubject("openstack", "create_vm", "micro"), "", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

// works runs Work until the test ends or stop is called.
func works(t *testing.T, c *bus.Conn, slots int, handle func(context.Context, *bus.Job) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Work(ctx, steps, slots, handle) }()
	var once atomic.Bool
	stop = func() {
		if !once.CompareAndSwap(false, true) {
			return
		}
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Work: %v", err)
			}
		case <-time.After(patience):
			t.Error("Work does not end")
		}
	}
	t.Cleanup(stop)
	return stop
}

func rawConn(t *testing.T, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func raw(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(rawConn(t, url))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// TestWorkOnePerSlot shows that no message waits in a busy worker's memory.
func TestWorkOnePerSlot(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	busy, other := b.Connect(t, "busy"), b.Connect(t, "other")
	taken, release := make(chan string, 10), make(chan struct{})
	works(t, busy, 2, func(ctx context.Context, j *bus.Job) error {
		taken <- string(j.Data)
		<-release
		return j.Done(ctx)
	})
	sendSteps(t, ctx, busy, "1", "2", "3", "4", "5")
	get(t, ctx, taken)
	get(t, ctx, taken)
	got := make(chan string, 10)
	works(t, other, 1, func(ctx context.Context, j *bus.Job) error {
		got <- string(j.Data)
		return j.Done(ctx)
	})
	for _, want := range []string{"3", "4", "5"} {
		if s := get(t, ctx, got); s != want {
			t.Errorf("the free worker got %s, want %s", s, want)
		}
	}
	close(release)
}

// TestWorkAnswers shows what each answer to a job does.
func TestWorkAnswers(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	c := b.Connect(t, "t")
	got := make(chan string, 100)
	stop := works(t, c, 1, func(ctx context.Context, j *bus.Job) error {
		got <- fmt.Sprintf("%s %d", j.Data, j.Deliveries)
		switch {
		case string(j.Data) == "drop":
			return j.Drop("no use")
		case string(j.Data) == "retry" && j.Deliveries == 1:
			return j.Retry(time.Millisecond)
		case string(j.Data) == "fail" && j.Deliveries == 1:
			return errors.New("no answer at all")
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		return j.Done(ended)
	})
	sendSteps(t, ctx, c, "drop", "retry", "fail", "done")
	seen := map[string]bool{}
	for range 6 {
		seen[get(t, ctx, got)] = true
	}
	for _, want := range []string{"drop 1", "retry 1", "retry 2", "fail 1", "fail 2", "done 1"} {
		if !seen[want] {
			t.Errorf("%q is missing in %v", want, seen)
		}
	}
	stop()
	s, err := raw(t, b.URL()).Stream(ctx, messages.StreamStep)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Msgs; n != 0 {
		t.Errorf("%d messages are stuck", n)
	}
}

// TestWorkHolds keeps a message beyond AckWait by InProgress.
func TestWorkHolds(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	c := bustest.Start(t).Connect(t, "t")
	var ran atomic.Int64
	done := make(chan struct{})
	works(t, c, 2, func(ctx context.Context, j *bus.Job) error {
		ran.Add(1)
		tick := time.NewTicker(messages.AckWait / 3)
		defer tick.Stop()
		for range 5 {
			<-tick.C
			if err := j.InProgress(); err != nil {
				return err
			}
		}
		defer close(done)
		return j.Done(ctx)
	})
	sendSteps(t, ctx, c, "x")
	get(t, ctx, done)
	if ran.Load() != 1 {
		t.Errorf("the handler ran %d times", ran.Load())
	}
}

// TestWorkAgain makes the durable again: after it was deleted, and after a bus
// came back without it.
func TestWorkAgain(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	c := b.Connect(t, "t")
	got := make(chan string, 10)
	works(t, c, 2, func(ctx context.Context, j *bus.Job) error {
		defer func() { got <- string(j.Data) }()
		return j.Done(ctx)
	})
	js := raw(t, b.URL())
	sendSteps(t, ctx, c, "1")
	get(t, ctx, got)
	if err := js.DeleteConsumer(ctx, steps.Stream, steps.Durable); err != nil {
		t.Fatal(err)
	}
	sendSteps(t, ctx, c, "2")
	if s := get(t, ctx, got); s != "2" {
		t.Fatal(s)
	}
	b.Stop()
	b.Restart()
	sendSteps(t, ctx, c, "3")
	if s := get(t, ctx, got); s != "3" {
		t.Fatal(s)
	}
}

// TestWorkBeforeProvision starts before the streams are there.
func TestWorkBeforeProvision(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	js := raw(t, b.URL())
	if err := js.DeleteStream(ctx, messages.StreamStep); err != nil {
		t.Fatal(err)
	}
	c := b.Connect(t, "t")
	got := make(chan string, 1)
	works(t, c, 1, func(ctx context.Context, j *bus.Job) error {
		defer func() { got <- string(j.Data) }()
		return j.Done(ctx)
	})
	if drift, err := c.Drift(ctx); err != nil || len(drift) != 1 {
		t.Errorf("Drift: %q %v", drift, err)
	}
	if err := c.Provision(ctx, 1); err != nil {
		t.Fatal(err)
	}
	sendSteps(t, ctx, c, "1")
	get(t, ctx, got)
}

// TestWorkEnds waits for the handler and leaves the rest to others.
func TestWorkEnds(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	c := b.Connect(t, "t")
	taken, finished := make(chan struct{}, 1), atomic.Bool{}
	stop := works(t, c, 1, func(ctx context.Context, j *bus.Job) error {
		taken <- struct{}{}
		<-ctx.Done()
		finished.Store(true)
		return j.Done(ctx)
	})
	sendSteps(t, ctx, c, "1", "2")
	get(t, ctx, taken)
	stop()
	if !finished.Load() {
		t.Error("Work returned before its handler")
	}
	got := make(chan string, 1)
	works(t, c, 1, func(ctx context.Context, j *bus.Job) error {
		defer func() { got <- string(j.Data) }()
		return j.Done(ctx)
	})
	if s := get(t, ctx, got); s != "2" {
		t.Errorf("the next worker got %q", s)
	}
}
