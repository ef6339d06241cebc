package bus_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
)

// TestFailover takes each node of a cluster away in turn: the journal goes on,
// a feed misses nothing, and every step is worked on.
func TestFailover(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	b := bustest.Cluster(t)
	c := b.Connect(t, "t")
	filter := messages.JournalFilter("micro")
	f, err := c.Follow(ctx, messages.StreamJournal, []string{filter}, bus.Start{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Stop()
	worked := make(chan string, 100)
	works(t, c, 2, func(ctx context.Context, j *bus.Job) error {
		// Told first: an acknowledgement may be taken and its answer lost.
		worked <- string(j.Data)
		return j.Done(ctx)
	})
	var last uint64
	for i := range 3 {
		b.Stop(i)
		text := fmt.Sprint(i)
		last, err = c.Append(ctx, bus.Append{
			Subject: messages.JournalSubject("micro", "f"), Filter: filter, Last: last, ID: text, Data: []byte(text),
		})
		if err != nil {
			t.Fatalf("without node %d: %v", i, err)
		}
		next(t, ctx, f, text)
		sendSteps(t, ctx, c, text)
		for got := ""; got != text; {
			got = get(t, ctx, worked)
		}
		b.Restart(i)
	}
}
