package cli

import (
	"context"
	"testing"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
)

// A cloud is refused as long as no CPI for it answers on the bus.
func TestCloudWithoutCPI(t *testing.T) {
	t.Parallel()
	x := newBench(t)
	err := x.s.serves(t.Context(), "aws")
	if messages.CodeOf(err) != messages.CodeNoService || err.Error() != "there is no CPI for aws: none answers on this bus" {
		t.Fatalf("got %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- x.conn.Serve(ctx, bus.Service{
			Name: messages.CPIService("aws"), Version: "0.0.1", Ready: func() { close(ready) },
			Endpoints: map[string]func(context.Context, []byte) (any, error){
				messages.SvcInfo: func(context.Context, []byte) (any, error) { return messages.CPIInfo{}, nil },
			},
		})
	}()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	if err := x.s.serves(t.Context(), "aws"); err != nil {
		t.Errorf("refused although a CPI answers: %v", err)
	}
	cancel()
	<-done
}
