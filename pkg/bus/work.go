package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
)

const (
	workHeartbeat = time.Second
	// A frozen worker's request stays open this long, and may be given one more
	// message that then waits for AckWait.
	workExpiry = 5 * time.Second
)

// worker is one Work.
type worker struct {
	c        *Conn
	consumer messages.Consumer
	handle   func(context.Context, *Job) error
	slots    chan struct{}
	handlers sync.WaitGroup

	mu   sync.Mutex
	cons jetstream.Consumer        // guarded by mu; nil = make sure that it is there
	it   jetstream.MessagesContext // guarded by mu; nil = none is open
}

// Work works off a work queue, slots messages at a time, until ctx ends; then
// it takes no more and waits for its handlers, which see the same ctx end. It
// asks for one message at a time, and only while a slot is free, so nothing
// waits in a worker's memory while another could take it, and a worker that
// freezes keeps one message at most from the others. A handler acknowledges by
// Done or Drop; its error is logged, and the message comes again. A durable that
// the bus has lost is made again.
//
// It fails at once only when this identity may not work there.
func (c *Conn) Work(ctx context.Context, consumer messages.Consumer, slots int, handle func(context.Context, *Job) error) error {
	w := &worker{c: c, consumer: consumer, handle: handle, slots: make(chan struct{}, max(slots, 1))}
	defer c.OnReconnect(w.wake)()
	err := w.take(ctx)
	w.handlers.Wait()
	return err
}

// wake makes sure of the durable: the bus came back, perhaps without it.
func (w *worker) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cons = nil
	if w.it != nil {
		w.it.Drain()
	}
}

func (w *worker) take(ctx context.Context) error {
	pause, level := 10*time.Millisecond, zerolog.WarnLevel
	for ctx.Err() == nil {
		it, err := w.iterator(ctx)
		if err == nil {
			var jobs int
			jobs, err = w.drain(ctx, it)
			if jobs > 0 {
				pause, level = 10*time.Millisecond, zerolog.WarnLevel
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case messages.CodeOf(err) == messages.CodeBusDenied:
			return err
		case w.c.ended():
			return messages.Errorf(messages.CodeBusUnreachable, "cannot work off %s: the connection to the bus is closed", w.consumer.Stream)
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			continue
		}
		w.c.log.WithLevel(level).Err(err).Str("stream", w.consumer.Stream).Str("durable", w.consumer.Durable).Msg("work queue interrupted")
		level = zerolog.DebugLevel // told once, until it works again
		if poll.Pause(ctx, pause) != nil {
			return nil
		}
		pause = min(2*pause, time.Second)
	}
	return nil
}

// drain hands out messages until the iterator or ctx ends, and counts them.
func (w *worker) drain(ctx context.Context, it jetstream.MessagesContext) (jobs int, err error) {
	defer w.close(it)
	for ; ; jobs++ {
		select {
		case w.slots <- struct{}{}:
		case <-ctx.Done():
			return jobs, ctx.Err()
		}
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			<-w.slots
			if !errors.Is(err, jetstream.ErrMsgIteratorClosed) {
				w.lost()
			}
			return jobs, err
		}
		if ctx.Err() != nil {
			_ = m.Nak()
			return jobs, ctx.Err()
		}
		meta, err := m.Metadata()
		if err != nil {
			<-w.slots
			return jobs, fmt.Errorf("cannot read a delivery: %w", err)
		}
		w.handlers.Go(func() {
			defer func() { <-w.slots }()
			w.do(ctx, &Job{Msg: stored(m, meta), Deliveries: meta.NumDelivered, m: m})
		})
	}
}

func (w *worker) do(ctx context.Context, job *Job) {
	if err := w.handle(ctx, job); err != nil {
		w.c.log.Warn().Err(err).Str("subject", job.Subject).Uint64("seq", job.Seq).Uint64("deliveries", job.Deliveries).
			Msg("the work on a message failed")
	}
}

// close gives back what the iterator holds and nobody handled.
func (w *worker) close(it jetstream.MessagesContext) {
	w.mu.Lock()
	w.it = nil
	w.mu.Unlock()
	it.Drain()
	for {
		m, err := it.Next(jetstream.NextMaxWait(time.Second))
		if err != nil {
			it.Stop()
			return
		}
		_ = m.Nak()
	}
}

func (w *worker) lost() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cons = nil
}

func (w *worker) iterator(ctx context.Context) (jetstream.MessagesContext, error) {
	cons, err := w.durable(ctx)
	if err != nil {
		return nil, err
	}
	it, err := cons.Messages(
		jetstream.PullMaxMessages(1),
		jetstream.PullExpiry(workExpiry),
		jetstream.PullHeartbeat(workHeartbeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(true),
	)
	if err != nil {
		return nil, fmt.Errorf("cannot work off %s: %w", w.consumer.Stream, err)
	}
	w.mu.Lock()
	w.it = it
	w.mu.Unlock()
	return it, nil
}

func (w *worker) durable(ctx context.Context) (jetstream.Consumer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cons != nil {
		return w.cons, nil
	}
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	cons, err := w.c.durable(ctx, w.consumer)
	if err != nil {
		return nil, err
	}
	w.cons = cons
	return cons, nil
}

// durable makes sure that a work queue's consumer is there as it should be.
func (c *Conn) durable(ctx context.Context, consumer messages.Consumer) (jetstream.Consumer, error) {
	ctx, release := c.guard(ctx, "$JS.API.CONSUMER.CREATE."+consumer.Stream+".")
	defer release()
	cons, err := c.js.CreateOrUpdateConsumer(ctx, consumer.Stream, jetstream.ConsumerConfig{
		Durable:       consumer.Durable,
		FilterSubject: consumer.Filter,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       messages.AckWait,
		MaxDeliver:    -1,
	})
	if err != nil {
		return nil, refused(ctx, fmt.Errorf("cannot make the consumer %s of %s: %w", consumer.Durable, consumer.Stream, err))
	}
	return cons, nil
}
