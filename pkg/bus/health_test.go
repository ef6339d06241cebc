package bus_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
)

// TestHealth looks at a bus that is well, then at one whose durable was changed
// and whose stream is gone.
func TestHealth(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	c, js := b.Connect(t, "t"), raw(t, b.URL())
	h, err := c.Health(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if h.Version == "" || h.URL != b.URL() || h.MaxPayload < messages.MaxMessage || h.RoundTrip <= 0 || len(h.Streams) != len(messages.Streams()) || h.Chain != nil {
		t.Errorf("health %+v", h)
	}
	if h.Ahead.Abs() > time.Second {
		t.Errorf("the same clock is %s ahead of itself", h.Ahead)
	}
	for _, s := range h.Streams {
		if !s.Leader || s.Replicas != 1 || len(s.Behind) > 0 {
			t.Errorf("stream %+v", s)
		}
	}
	work := messages.CommandConsumer()
	if got, err := c.ConsumerDrift(ctx, work); err != nil || len(got) > 0 {
		t.Errorf("a fresh consumer: %q %v", got, err)
	}
	if _, err := js.UpdateConsumer(ctx, work.Stream, jetstream.ConsumerConfig{
		Durable: work.Durable, FilterSubject: work.Filter, AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute, MaxDeliver: 3,
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"the consumer orchestrator of BOSH_CMD has ack wait 1m0s, wanted 3s",
		"the consumer orchestrator of BOSH_CMD has delivery limit 3, wanted -1",
	}
	if got, err := c.ConsumerDrift(ctx, work); err != nil || !slices.Equal(got, want) {
		t.Errorf("a changed consumer: %q %v", got, err)
	}
	if got, err := c.ConsumerDrift(ctx, messages.StepConsumer("nowhere")); err != nil || !slices.Equal(got, []string{"the consumer cpi-nowhere of BOSH_STEP is missing"}) {
		t.Errorf("a missing consumer: %q %v", got, err)
	}
	if err := js.DeleteStream(ctx, messages.StreamEvent); err != nil {
		t.Fatal(err)
	}
	if h, err := c.Health(ctx); err != nil || len(h.Streams) != len(messages.Streams())-1 {
		t.Errorf("without a stream: %+v %v", h, err)
	}
}

func TestServes(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	c := b.Connect(t, "t")
	if got, err := c.Serves(ctx, "registry"); err != nil || got {
		t.Fatalf("nobody serves: %v %v", got, err)
	}
	serving, stop := context.WithCancel(ctx)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- b.Connect(t, "registry").Serve(serving, bus.Service{
			Name: "registry", Version: "1.0.0", Ready: func() { close(ready) },
			Endpoints: map[string]func(context.Context, []byte) (any, error){"x": func(context.Context, []byte) (any, error) { return nil, nil }},
		})
	}()
	<-ready
	if got, err := c.Serves(ctx, "registry"); err != nil || !got {
		t.Errorf("it serves: %v %v", got, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
