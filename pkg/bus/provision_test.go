package bus_test

import (
	"slices"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
)

// TestDrift changes and deletes streams past Provision: Drift tells it in
// words, Provision puts it right and leaves what is stored.
func TestDrift(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	c, js := b.Connect(t, "t"), raw(t, b.URL())
	if got, err := c.Drift(ctx); err != nil || len(got) != 0 {
		t.Fatalf("a fresh bus: %q %v", got, err)
	}
	send(t, ctx, c, "a 1")
	s, err := js.Stream(ctx, messages.StreamEvent)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxAge = time.Hour
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(ctx, messages.StreamResult); err != nil {
		t.Fatal(err)
	}
	want := []string{"the stream BOSH_RESULT is missing", "the stream BOSH_EVENT has age limit 1h0m0s, wanted 168h0m0s"}
	if got, err := c.Drift(ctx); err != nil || !slices.Equal(got, want) {
		t.Errorf("Drift: %q %v, want %q", got, err, want)
	}
	if err := c.Provision(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Drift(ctx); err != nil || len(got) != 0 {
		t.Errorf("after Provision: %q %v", got, err)
	}
	if got, err := c.Read(ctx, messages.StreamJournal, "bosh.v1.>", 0); err != nil || len(got) != 1 {
		t.Errorf("the journal holds %d facts: %v", len(got), err)
	}
	// The journal cannot be shortened, whoever asks.
	journal, err := js.Stream(ctx, messages.StreamJournal)
	if err != nil {
		t.Fatal(err)
	}
	if journal.Purge(ctx) == nil || journal.DeleteMsg(ctx, 1) == nil {
		t.Error("the journal was shortened")
	}
}
