package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
)

// TestConflict races writers for the same sequence. One server and a cluster
// refuse the losers with different codes.
func TestConflict(t *testing.T) {
	t.Parallel()
	for name, connect := range map[string]func(*testing.T) func(string) *bus.Conn{
		"one server": func(t *testing.T) func(string) *bus.Conn {
			b := bustest.Start(t)
			return func(name string) *bus.Conn { return b.Connect(t, name) }
		},
		"three servers": func(t *testing.T) func(string) *bus.Conn {
			b := bustest.Cluster(t)
			return func(name string) *bus.Conn { return b.Connect(t, name) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := within(t)
			conn := connect(t)
			conns := []*bus.Conn{conn("a"), conn("b"), conn("c"), conn("d")}
			filter := messages.JournalFilter("micro")
			var last uint64
			for round := range 20 {
				var won atomic.Int64
				var next atomic.Uint64
				var group sync.WaitGroup
				for i, c := range conns {
					group.Go(func() {
						seq, err := c.Append(ctx, bus.Append{
							Subject: messages.JournalSubject("micro", fmt.Sprintf("f%d", i)), Filter: filter, Last: last,
							ID: fmt.Sprintf("%d-%d", round, i), Data: []byte("x"),
						})
						switch {
						case err == nil:
							won.Add(1)
							next.Store(seq)
						case !errors.Is(err, bus.ErrConflict):
							t.Errorf("round %d: %v", round, err)
						}
					})
				}
				group.Wait()
				if won.Load() != 1 {
					t.Fatalf("round %d has %d winners", round, won.Load())
				}
				last = next.Load()
			}
			got, err := conns[0].Read(ctx, messages.StreamJournal, filter, 0)
			if err != nil || len(got) != 20 {
				t.Fatalf("the journal has %d facts, want 20: %v", len(got), err)
			}
			// The same append again is known as one's own, also when the
			// server calls it a conflict.
			end := got[len(got)-1]
			seq, err := conns[0].Append(ctx, bus.Append{Subject: end.Subject, Filter: filter, Last: got[len(got)-2].Seq, ID: end.ID, Data: end.Data})
			if err != nil || seq != end.Seq {
				t.Fatalf("the same append again: %d %v, want %d", seq, err, end.Seq)
			}
		})
	}
}

// TestLostAck cuts the connection on the answer to an append: what was stored
// is known as one's own.
func TestLostAck(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		hook   func(m bustest.Message) bool
		action bustest.Action
	}{
		"connection cut on the answer":  {func(m bustest.Message) bool { return !m.FromClient && strings.HasPrefix(m.Subject, "_INBOX") }, bustest.Cut},
		"connection cut on the request": {func(m bustest.Message) bool { return m.FromClient && strings.HasPrefix(m.Subject, "bosh.v1.journal") }, bustest.Cut},
		"connection cut after it":       {func(m bustest.Message) bool { return m.FromClient && strings.HasPrefix(m.Subject, "bosh.v1.journal") }, bustest.CutAfter},
		"answer lost":                   {func(m bustest.Message) bool { return !m.FromClient && strings.HasPrefix(m.Subject, "_INBOX") }, bustest.Drop},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := within(t)
			b := bustest.Start(t)
			p := bustest.NewProxy(t, b.URL())
			c := bustest.Connect(t, p.URL(), "behind")
			var once atomic.Bool
			p.Hook(func(m bustest.Message) bustest.Action {
				if tc.hook(m) && once.CompareAndSwap(false, true) {
					return tc.action
				}
				return bustest.Pass
			})
			a := bus.Append{Subject: messages.JournalSubject("micro", "f"), Filter: messages.JournalFilter("micro"), ID: "mine", Data: []byte("x")}
			seq, err := c.Append(ctx, a)
			if err != nil {
				t.Fatal(err)
			}
			if !once.Load() {
				t.Fatal("the proxy did nothing")
			}
			got, err := b.Connect(t, "direct").Read(ctx, messages.StreamJournal, a.Filter, 0)
			if err != nil || len(got) != 1 || got[0].Seq != seq {
				t.Fatalf("the journal holds %+v, want one fact at %d: %v", got, seq, err)
			}
		})
	}
}

// TestForeignWrite has somebody else write while the bus keeps silent.
func TestForeignWrite(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	p := bustest.NewProxy(t, b.URL())
	behind, other := bustest.Connect(t, p.URL(), "behind"), b.Connect(t, "other")
	p.Hook(func(m bustest.Message) bustest.Action {
		if m.FromClient && m.N == 1 && strings.HasPrefix(m.Subject, "bosh.v1.journal") {
			if _, err := other.Append(context.Background(), bus.Append{
				Subject: messages.JournalSubject("micro", "cancel"), Filter: messages.JournalFilter("micro"), ID: "theirs",
			}); err != nil {
				t.Error(err)
			}
		}
		return bustest.Pass
	})
	_, err := behind.Append(ctx, bus.Append{Subject: messages.JournalSubject("micro", "f"), Filter: messages.JournalFilter("micro"), ID: "mine"})
	if !errors.Is(err, bus.ErrConflict) {
		t.Fatalf("got %v, want a conflict", err)
	}
}

func TestSlot(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]interface {
		Connect(testing.TB, string) *bus.Conn
	}{"one server": bustest.Start(t), "three servers": bustest.Cluster(t)} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t)
			c := b.Connect(t, "t")
			subject := messages.CommandSubject("micro")
			first, err := c.Send(ctx, subject, "run-1", []byte("1"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Send(ctx, subject, "run-2", []byte("2")); !errors.Is(err, bus.ErrSlotTaken) {
				t.Fatalf("a second command: %v", err)
			}
			if again, err := c.Send(ctx, subject, "run-1", []byte("1")); err != nil || again != first {
				t.Fatalf("the first again: %d %v, want %d", again, err, first)
			}
			if _, err := c.Send(ctx, messages.CommandSubject("other"), "run-3", []byte("3")); err != nil {
				t.Fatalf("another deployment: %v", err)
			}
			if _, err := c.Send(ctx, "nowhere.at.all", "", nil); err == nil {
				t.Fatal("a subject that no stream captures was sent to")
			}
		})
	}
}
