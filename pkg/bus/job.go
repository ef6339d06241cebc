package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const ackFor = 5 * time.Second

// Job is one message of a work queue, held by this worker for AckWait from its
// delivery or its last InProgress. A job that nobody acknowledges is delivered
// again.
type Job struct {
	Msg
	Deliveries uint64 // 1 = first

	m jetstream.Msg
}

// InProgress says that the work moves on, and holds the message for another
// AckWait. Call it from the loop that sees the progress, never from a ticker.
func (j *Job) InProgress() error { return j.wrap("hold", j.m.InProgress()) }

// Done removes the message and returns when the server has done so. The work is
// done even when ctx was cancelled meanwhile, so only its deadline counts.
func (j *Job) Done(ctx context.Context) error {
	until, has := ctx.Deadline()
	if limit := time.Now().Add(ackFor); !has || until.After(limit) {
		until = limit
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	defer cancel()
	return j.wrap("acknowledge", j.m.DoubleAck(ctx))
}

// Retry gives the message back, to be delivered again after a while.
func (j *Job) Retry(after time.Duration) error { return j.wrap("give back", j.m.NakWithDelay(after)) }

// Drop removes the message for good; reason is told in the server's advisory.
func (j *Job) Drop(reason string) error { return j.wrap("drop", j.m.TermWithReason(reason)) }

func (j *Job) wrap(verb string, err error) error {
	if err != nil {
		return fmt.Errorf("cannot %s %s: %w", verb, j.Subject, err)
	}
	return nil
}
