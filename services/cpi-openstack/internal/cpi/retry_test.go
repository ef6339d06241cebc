package cpi

import (
	"fmt"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

type later struct{ error }

func (later) RetryAfter() time.Duration { return 40 * time.Second }

func TestPauses(t *testing.T) {
	t.Parallel()
	plain := messages.Errorf(messages.CodeCloudTransient, "busy")
	for turn := range 100 {
		if d := pauseAfter(plain, turn); d <= 0 || d > longPause+time.Millisecond || (turn == 0 && d > firstPause+time.Millisecond) {
			t.Errorf("turn %d pauses for %s", turn, d)
		}
		if d := pauseAfter(fmt.Errorf("again: %w", later{plain}), turn); d < 40*time.Second || d > 50*time.Second {
			t.Errorf("after a wish for 40s it pauses for %s", d)
		}
		if d := pollPause(turn, time.Second); d <= 0 || d > time.Second {
			t.Errorf("look %d pauses for %s", turn, d)
		}
	}
}
