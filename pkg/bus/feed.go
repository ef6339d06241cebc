package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
)

// Start says where a Feed begins. The zero value is the first message.
type Start struct {
	Sequence       uint64 // this one, or the next there is
	LastPerSubject bool   // the last of each subject, then what follows
	New            bool   // what is stored from now on
	Ahead          int    // messages that may wait in memory, 0 = the library's few hundred
}

const (
	feedHeartbeat = time.Second
	feedExpiry    = 30 * time.Second
	feedForgotten = time.Minute // the server drops an abandoned consumer after this
)

// Feed is an ordered, gapless view of a stream from Start on. One goroutine
// calls Next; Stop may come from any.
type Feed struct {
	c       *Conn
	stream  string
	filters []string
	start   Start
	forget  func()

	last uint64 // sequence of the last message given out

	mu      sync.Mutex
	it      jetstream.MessagesContext // guarded by mu; nil when a new one is needed
	name    string                    // guarded by mu; the server's consumer
	serial  uint64                    // messages the consumer has delivered
	stopped bool                      // guarded by mu
}

// Follow opens a feed over the messages of stream that match any of filters
// (none = all). It outlives restarts of the bus: after each the server-side
// consumer is made again from the message after the last one given out.
func (c *Conn) Follow(ctx context.Context, stream string, filters []string, start Start) (*Feed, error) {
	f := &Feed{c: c, stream: stream, filters: filters, start: start}
	if start.New {
		// Pinned now: made again later, "new" would skip what came between.
		err := c.retry(ctx, "follow "+stream, func(ctx context.Context) error {
			seq, err := c.lastSequence(ctx, stream)
			f.start.New, f.start.Sequence = false, seq+1
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if err := c.retry(ctx, "follow "+stream, f.open); err != nil {
		return nil, err
	}
	f.forget = c.OnReconnect(f.renew)
	return f, nil
}

// Next waits for the next message. It fails only when ctx ends, the feed is
// stopped, the connection is closed or this identity may not read the stream.
func (f *Feed) Next(ctx context.Context) (Msg, error) {
	pause := 10 * time.Millisecond
	for {
		it, err := f.iterator(ctx)
		if err == nil {
			var m jetstream.Msg
			m, err = it.Next(jetstream.NextContext(ctx))
			if err == nil {
				out, ok := f.accept(m)
				if ok {
					return out, nil
				}
				f.renew()
				continue
			}
			f.drop(it)
		}
		switch {
		case ctx.Err() != nil:
			return Msg{}, context.Cause(ctx)
		case f.isStopped():
			return Msg{}, fmt.Errorf("cannot follow %s: the feed is stopped", f.stream)
		case f.c.ended():
			return Msg{}, messages.Errorf(messages.CodeBusUnreachable, "cannot follow %s: the connection to the bus is closed", f.stream)
		case messages.CodeOf(err) == messages.CodeBusDenied:
			return Msg{}, err
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			continue // renewed after a reconnect
		}
		f.c.log.Debug().Err(err).Str("stream", f.stream).Msg("feed interrupted")
		if poll.Pause(ctx, pause) != nil {
			return Msg{}, context.Cause(ctx)
		}
		pause = min(2*pause, time.Second)
	}
}

// Stop ends the feed; a waiting Next returns.
func (f *Feed) Stop() {
	f.forget()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return
	}
	f.stopped = true
	f.closeLocked()
}

func (f *Feed) isStopped() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stopped
}

// accept takes a message that is the next of its consumer, refuses any other.
func (f *Feed) accept(m jetstream.Msg) (Msg, bool) {
	meta, err := m.Metadata()
	if err != nil {
		return Msg{}, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if meta.Consumer != f.name || meta.Sequence.Consumer != f.serial+1 || meta.Sequence.Stream <= f.last {
		return Msg{}, false
	}
	f.serial++
	f.last = meta.Sequence.Stream
	return stored(m, meta), true
}

func (f *Feed) iterator(ctx context.Context) (jetstream.MessagesContext, error) {
	f.mu.Lock()
	it := f.it
	f.mu.Unlock()
	if it != nil {
		return it, nil
	}
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	if err := f.open(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.it == nil {
		return nil, jetstream.ErrMsgIteratorClosed
	}
	return f.it, nil
}

// open makes the server-side consumer and starts to pull from it.
func (f *Feed) open(ctx context.Context) error {
	cfg := jetstream.ConsumerConfig{
		Name:              newID(),
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: feedForgotten,
	}
	switch len(f.filters) {
	case 0:
	case 1:
		cfg.FilterSubject = f.filters[0]
	default:
		cfg.FilterSubjects = f.filters
	}
	switch {
	case f.last > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, f.last+1
	case f.start.LastPerSubject:
		cfg.DeliverPolicy = jetstream.DeliverLastPerSubjectPolicy
		if len(f.filters) == 0 {
			cfg.FilterSubject = ">"
		}
	case f.start.Sequence > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, f.start.Sequence
	}
	ctx, release := f.c.guard(ctx, "$JS.API.CONSUMER.CREATE."+f.stream+".")
	defer release()
	cons, err := f.c.js.CreateConsumer(ctx, f.stream, cfg)
	if err != nil {
		if serverCode(err) == jetstream.JSErrCodeStreamNotFound {
			return noStream(f.stream)
		}
		return refused(ctx, fmt.Errorf("cannot follow %s: %w", f.stream, err))
	}
	pull := []jetstream.PullMessagesOpt{
		jetstream.PullExpiry(feedExpiry),
		jetstream.PullHeartbeat(feedHeartbeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(true),
	}
	if f.start.Ahead > 0 {
		pull = append(pull, jetstream.PullMaxMessages(f.start.Ahead))
	}
	it, err := cons.Messages(pull...)
	if err != nil {
		return fmt.Errorf("cannot follow %s: %w", f.stream, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closeLocked()
	f.it, f.name, f.serial = it, cfg.Name, 0
	if f.stopped {
		f.closeLocked()
	}
	return nil
}

// renew has the next Next make a new consumer.
func (f *Feed) renew() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closeLocked()
}

// drop is renew, unless it was renewed since.
func (f *Feed) drop(it jetstream.MessagesContext) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.it == it {
		f.closeLocked()
	}
}

func (f *Feed) closeLocked() {
	if f.it == nil {
		return
	}
	f.it.Stop()
	// Nobody waits for the answer: the server forgets the consumer by itself.
	_ = f.c.nc.Publish("$JS.API.CONSUMER.DELETE."+f.stream+"."+f.name, nil)
	f.it, f.name = nil, ""
}

func stored(m jetstream.Msg, meta *jetstream.MsgMetadata) Msg {
	return Msg{
		Subject: m.Subject(), Reply: m.Reply(), Data: m.Data(),
		Seq: meta.Sequence.Stream, Time: meta.Timestamp,
		ID: m.Headers().Get(nats.MsgIdHdr), header: m.Headers(),
	}
}
