package cpi

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
)

const (
	firstPause = 100 * time.Millisecond
	longPause  = 10 * time.Second
)

// Transient tells whether the same work may succeed when it is done again. An
// ambiguous answer is only dangerous to a create, which settles it itself.
func Transient(err error) bool {
	var e *messages.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case messages.CodeCloudTransient, messages.CodeCloudUnreachable, messages.CodeCloudAmbiguous, messages.CodeNoService, messages.CodeBusUnreachable:
		return true
	}
	return e.Retryable
}

func ambiguous(err error) bool { return messages.CodeOf(err) == messages.CodeCloudAmbiguous }

// jitter is the pause before a next try: full jitter under a doubling bound.
func jitter(turn int) time.Duration {
	bound := min(firstPause<<min(turn, 10), longPause)
	return time.Duration(rand.Int64N(int64(bound))) + time.Millisecond
}

// pauseAfter is the pause after an error: jitter, or what the error asks for and
// some of that on top, so that not all come back at once.
func pauseAfter(err error, turn int) time.Duration {
	var later interface{ RetryAfter() time.Duration }
	if !errors.As(err, &later) || later.RetryAfter() <= 0 {
		return jitter(turn)
	}
	after := later.RetryAfter()
	return after + time.Duration(rand.Int64N(int64(after)/4+1))
}

// pollPause is the pause before a next look: short at first, and never past
// left.
func pollPause(turn int, left time.Duration) time.Duration {
	return max(min(50*time.Millisecond<<min(turn, 6), left), time.Millisecond)
}

// Await looks until ready says that it is so, with pauses that grow to longest.
func Await(ctx context.Context, longest time.Duration, ready func(context.Context) (bool, error)) error {
	for turn := 0; ; turn++ {
		ok, err := ready(ctx)
		if ok || err != nil {
			return err
		}
		if err := poll.Pause(ctx, pollPause(turn, longest)); err != nil {
			return err
		}
	}
}
