package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
)

func send(t *testing.T, ctx context.Context, c *bus.Conn, texts ...string) {
	t.Helper()
	for _, text := range texts {
		name, _, _ := strings.Cut(text, " ")
		if _, err := c.Send(ctx, messages.JournalSubject(name, "f"), "", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

func next(t *testing.T, ctx context.Context, f *bus.Feed, want ...string) {
	t.Helper()
	for _, w := range want {
		m, err := f.Next(ctx)
		if err != nil {
			t.Fatalf("waiting for %q: %v", w, err)
		}
		if string(m.Data) != w || m.Seq == 0 || m.Time.IsZero() {
			t.Fatalf("got %q (%d), want %q", m.Data, m.Seq, w)
		}
	}
}

func TestFollowStarts(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	c := bustest.Start(t).Connect(t, "t")
	send(t, ctx, c, "a 1", "b 1", "a 2", "b 2")
	feeds, wants := map[string]*bus.Feed{}, map[string][]string{}
	for name, tc := range map[string]struct {
		filters []string
		start   bus.Start
		want    []string
	}{
		"all":              {nil, bus.Start{}, []string{"a 1", "b 1", "a 2", "b 2", "a 3"}},
		"filter":           {[]string{messages.JournalFilter("a")}, bus.Start{}, []string{"a 1", "a 2", "a 3"}},
		"two filters":      {[]string{messages.JournalFilter("a"), messages.JournalFilter("b")}, bus.Start{Sequence: 3}, []string{"a 2", "b 2", "a 3"}},
		"sequence":         {nil, bus.Start{Sequence: 4}, []string{"b 2", "a 3"}},
		"behind the end":   {nil, bus.Start{Sequence: 5}, []string{"a 3"}},
		"last per subject": {nil, bus.Start{LastPerSubject: true}, []string{"a 2", "b 2", "a 3"}},
		"new":              {nil, bus.Start{New: true}, []string{"a 3"}},
	} {
		f, err := c.Follow(ctx, messages.StreamJournal, tc.filters, tc.start)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer f.Stop()
		feeds[name] = f
		wants[name] = tc.want
	}
	send(t, ctx, c, "a 3")
	for name, f := range feeds {
		t.Log(name)
		next(t, ctx, f, wants[name]...)
	}
}

// TestFollowOutlivesRestarts reads on over restarts: nothing twice, nothing
// lost, also what was stored while the feed was cut off.
func TestFollowOutlivesRestarts(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	p := bustest.NewProxy(t, b.URL())
	direct, behind := b.Connect(t, "direct"), bustest.Connect(t, p.URL(), "behind")
	fresh, err := behind.Follow(ctx, messages.StreamJournal, nil, bus.Start{New: true})
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Stop()
	send(t, ctx, direct, "a 1")
	f, err := behind.Follow(ctx, messages.StreamJournal, nil, bus.Start{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Stop()
	next(t, ctx, f, "a 1")
	b.Restart()
	send(t, ctx, direct, "a 2")
	next(t, ctx, f, "a 2")
	p.Down()
	send(t, ctx, direct, "a 3", "a 4")
	p.Up()
	next(t, ctx, f, "a 3", "a 4")
	p.Sever()
	b.Restart()
	send(t, ctx, direct, "a 5")
	next(t, ctx, f, "a 5")
	next(t, ctx, fresh, "a 1", "a 2", "a 3", "a 4", "a 5")
}

// TestFollowGap loses one message on the way: it is fetched again, in order.
func TestFollowGap(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	p := bustest.NewProxy(t, b.URL())
	direct, behind := b.Connect(t, "direct"), bustest.Connect(t, p.URL(), "behind")
	f, err := behind.Follow(ctx, messages.StreamJournal, nil, bus.Start{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Stop()
	send(t, ctx, direct, "a 1")
	next(t, ctx, f, "a 1")
	dropped := make(chan struct{})
	p.Hook(func(m bustest.Message) bustest.Action {
		if !m.FromClient && m.Subject == messages.JournalSubject("a", "f") {
			select {
			case <-dropped:
			default:
				close(dropped)
				return bustest.Drop
			}
		}
		return bustest.Pass
	})
	send(t, ctx, direct, "a 2", "a 3")
	next(t, ctx, f, "a 2", "a 3")
	get(t, ctx, dropped)
}

func TestFollowEnds(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	c := b.Connect(t, "t")
	if _, err := c.Follow(ctx, "NONE", nil, bus.Start{}); messages.CodeOf(err) != messages.CodeBusUnreachable {
		t.Errorf("a missing stream: %v", err)
	}
	f, err := c.Follow(ctx, messages.StreamJournal, nil, bus.Start{})
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := f.Next(short); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with an ended context: %v", err)
	}
	deleted := make(chan bus.Msg, 1)
	end, err := c.Subscribe(ctx, "$JS.EVENT.ADVISORY.CONSUMER.DELETED.BOSH_JOURNAL.>", func(m bus.Msg) { deleted <- m })
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	got := make(chan error, 1)
	go func() {
		_, err := f.Next(ctx)
		got <- err
	}()
	f.Stop()
	f.Stop()
	get(t, ctx, deleted)
	if err := get(t, ctx, got); err == nil || ctx.Err() != nil {
		t.Errorf("Next of a stopped feed: %v", err)
	}
	f, err = c.Follow(ctx, messages.StreamJournal, nil, bus.Start{})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := f.Next(ctx)
		got <- err
	}()
	c.Close()
	if err := get(t, ctx, got); messages.CodeOf(err) != messages.CodeBusUnreachable {
		t.Errorf("Next on a closed connection: %v", err)
	}
	f.Stop()
}

// TestFollowMany reads more than the library fetches at once.
func TestFollowMany(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	c := bustest.Start(t).Connect(t, "t")
	var want []string
	for i := range 1200 {
		want = append(want, fmt.Sprintf("a %d", i))
	}
	send(t, ctx, c, want...)
	f, err := c.Follow(ctx, messages.StreamJournal, nil, bus.Start{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Stop()
	next(t, ctx, f, want...)
}
