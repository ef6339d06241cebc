package poll_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/poll"
)

func TestPause(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	if err := poll.Pause(ctx, time.Millisecond); err != nil {
		t.Errorf("a pause ended with %v", err)
	}
	cancel()
	for _, d := range []time.Duration{0, time.Hour} {
		if err := poll.Pause(ctx, d); !errors.Is(err, context.Canceled) {
			t.Errorf("a pause of %v under an ended context gave %v", d, err)
		}
	}
}
