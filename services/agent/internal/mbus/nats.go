package mbus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Bus is what NATS gives.
type Bus interface {
	Publish(subject string, data []byte) error
	Flush(ctx context.Context) error
	// Subscribe returns once the server has confirmed it; handler is called
	// for one message at a time.
	Subscribe(ctx context.Context, subject string, handler func(data []byte)) (stop func(), err error)
}

// NATSOptions of a NATS transport.
type NATSOptions struct {
	Bus        Bus
	AgentID    string
	Dispatcher Dispatcher
	Crypt      *Crypt // with it, only encrypted messages are taken and sent
	Parallel   int    // requests that may wait for their answer, default 256
	Log        zerolog.Logger
}

// NATS serves agent.<id>.
type NATS struct {
	o     NATSOptions
	slots chan struct{}

	// sending is held from the moment that an encrypted answer gets its sequence
	// number until it is published: whoever asked drops what comes out of order.
	sending sync.Mutex

	mu      sync.Mutex // guards closed, and that answers grows only before it
	closed  bool
	answers sync.WaitGroup
}

// NewNATS makes the transport.
func NewNATS(o NATSOptions) (*NATS, error) {
	if o.Bus == nil || o.Dispatcher == nil {
		return nil, errors.New("cannot serve the agent over NATS: bus and dispatcher are needed")
	}
	if _, err := messages.ParseToken("agent id", o.AgentID); err != nil {
		return nil, err
	}
	if o.Parallel == 0 {
		o.Parallel = 256
	}
	return &NATS{o: o, slots: make(chan struct{}, o.Parallel)}, nil
}

// Run serves until ctx ends; ready is called once the subscription is
// confirmed.
func (n *NATS) Run(ctx context.Context, ready func()) error {
	stop, err := n.o.Bus.Subscribe(ctx, messages.AgentSubject(n.o.AgentID), func(data []byte) {
		n.receive(ctx, data)
	})
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", messages.AgentSubject(n.o.AgentID), err)
	}
	defer func() {
		stop()
		n.mu.Lock() // a last message may still be on its way in
		n.closed = true
		n.mu.Unlock()
		n.answers.Wait()
	}()
	n.o.Log.Info().Msg("listening on the bus")
	ready()
	<-ctx.Done()
	return nil
}

func (n *NATS) receive(ctx context.Context, data []byte) {
	session := ""
	if n.o.Crypt != nil {
		var err error
		if data, session, err = n.o.Crypt.Open(data); err != nil {
			n.o.Log.Warn().AnErr("err", err).Msg("a message that is not encrypted as agreed is dropped")
			return
		}
	}
	req, err := Parse(data)
	if err != nil {
		n.o.Log.Warn().AnErr("err", err).Int("bytes", len(data)).Msg("a message that is no request is dropped")
		return
	}
	if !replyAllowed(req.ReplyTo, n.o.AgentID) {
		n.o.Log.Warn().Str("op", clip(req.Method)).Msg("a request whose reply_to is not director.*.<agent id>.* is dropped")
		return
	}
	select {
	case n.slots <- struct{}{}:
	default:
		n.reply(req, session, Exception(fmt.Sprintf("too many requests: %d wait for their answers", n.o.Parallel)))
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		<-n.slots
		return
	}
	answer := n.o.Dispatcher.Dispatch(req)
	n.answers.Go(func() {
		defer func() { <-n.slots }()
		n.reply(req, session, answer(ctx))
	})
}

func (n *NATS) reply(req messages.AgentRequest, session string, reply messages.AgentReply) {
	limit := MaxReply
	if n.o.Crypt != nil {
		limit = MaxReply / cryptGrowth
	}
	body, err := Encode(reply, limit), error(nil)
	if n.o.Crypt != nil {
		n.sending.Lock()
		defer n.sending.Unlock()
		body, err = n.o.Crypt.Seal(session, body)
	}
	if err == nil {
		err = n.o.Bus.Publish(req.ReplyTo, body)
	}
	if err != nil {
		n.o.Log.Warn().AnErr("err", err).Str("op", clip(req.Method)).Msg("an answer could not be sent")
	}
}

// cryptGrowth is how much larger a reply is when it is quoted and encoded.
const cryptGrowth = 3

func clip(s string) string {
	const longest = 64
	if len(s) > longest {
		return s[:longest] + "..."
	}
	return s
}
