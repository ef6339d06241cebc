package bus

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/microbosh/microbosh/pkg/messages"
)

const (
	confirmFor = 5 * time.Second
	callFor    = 10 * time.Second
	askAgain   = 4 * time.Second
)

// Msg is a message of the bus. Seq and Time are zero unless it was stored.
type Msg struct {
	Subject string
	Reply   string
	Data    []byte
	Seq     uint64
	Time    time.Time
	ID      string // Nats-Msg-Id

	header nats.Header
}

// Publish sends data without waiting. During an outage it is buffered, and
// refused when the buffer is full.
func (c *Conn) Publish(subject string, data []byte) error {
	if err := c.nc.Publish(subject, data); err != nil {
		return publishError(subject, err)
	}
	return nil
}

// Flush returns once the server has taken everything published before.
func (c *Conn) Flush(ctx context.Context) error {
	ctx, cancel := withDefault(ctx, confirmFor)
	defer cancel()
	if err := c.nc.FlushWithContext(ctx); err != nil {
		return messages.Errorf(messages.CodeBusUnreachable, "cannot reach the bus at %s: %w", c.URL(), err)
	}
	return nil
}

// Subscribe calls handler for each message, one at a time and in order, from
// the moment it returns until stop. ctx bounds only the server's confirmation.
// A handler may still be running when stop returns.
func (c *Conn) Subscribe(ctx context.Context, subject string, handler func(Msg)) (stop func(), err error) {
	sub, err := c.nc.SubscribeSync(subject)
	if err != nil {
		return nil, messages.Errorf(messages.CodeBusUnreachable, "cannot subscribe to %s: %w", subject, err)
	}
	if err := c.Flush(ctx); err != nil {
		_ = sub.Unsubscribe()
		return nil, err
	}
	// A refusal arrives before the answer to the flush, so it is known by now.
	first, err := sub.NextMsg(time.Nanosecond)
	if errors.Is(err, nats.ErrPermissionViolation) {
		_ = sub.Unsubscribe()
		return nil, deniedSubject("subscribe to", subject)
	}
	runCtx, cancel := context.WithCancel(context.Background())
	go c.deliver(runCtx, sub, first, handler)
	var once sync.Once
	return func() {
		once.Do(func() {
			cancel()
			_ = sub.Unsubscribe()
		})
	}, nil
}

func (c *Conn) deliver(ctx context.Context, sub *nats.Subscription, m *nats.Msg, handler func(Msg)) {
	for {
		if m != nil {
			handler(plain(m))
		}
		var err error
		m, err = sub.NextMsgWithContext(ctx)
		switch {
		case err == nil:
		case ctx.Err() != nil, c.ended(), !sub.IsValid():
			return
		case errors.Is(err, nats.ErrSlowConsumer):
			c.log.Error().Str("subject", sub.Subject).Msg("messages were dropped: the handler is too slow")
		default:
			c.log.Error().Err(err).Str("subject", sub.Subject).Msg("the subscription ended")
			return
		}
	}
}

// Call asks a micro service: request as JSON, the reply's value into reply (nil
// to ignore it). The service's own error is returned as *messages.Error; nobody
// there is service_unavailable. When the connection is cut or nothing is heard
// for some seconds it asks again. Without a deadline it waits ten seconds.
func (c *Conn) Call(ctx context.Context, subject string, request, reply any) error {
	body := []byte("{}")
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return messages.Errorf(messages.CodeInternal, "cannot encode the request to %s: %w", subject, err)
		}
	}
	ctx, cancel := withDefault(ctx, callFor)
	defer cancel()
	ctx, release := c.guard(ctx, subject)
	defer release()
	m, err := c.ask(ctx, subject, body)
	if err != nil {
		return callError(ctx, subject, err)
	}
	var out messages.ServiceReply
	if err := json.Unmarshal(m.Data, &out); err != nil {
		if text := m.Header.Get("Nats-Service-Error"); text != "" {
			return messages.Errorf(messages.CodeInternal, "%s answers: %s", subject, text)
		}
		return messages.Errorf(messages.CodeMalformed, "the reply of %s cannot be read: %w", subject, err)
	}
	if out.Error != nil {
		return out.Error
	}
	if reply == nil || len(out.Value) == 0 {
		return nil
	}
	if err := json.Unmarshal(out.Value, reply); err != nil {
		return messages.Errorf(messages.CodeMalformed, "the reply of %s cannot be read: %w", subject, err)
	}
	return nil
}

// ask asks again when the connection was cut meanwhile, and when there is no
// answer for a while, for whoever was asked may have died: requests only read,
// or are safe to repeat.
func (c *Conn) ask(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	for {
		limited, cancel := context.WithTimeout(ctx, askAgain)
		tryCtx, release := c.uncut(limited)
		m, err := c.nc.RequestWithContext(tryCtx, subject, body)
		err = wasCut(tryCtx, ctx, err)
		release()
		silent := err != nil && limited.Err() != nil && ctx.Err() == nil
		cancel()
		if !silent && !errors.Is(err, nats.ErrDisconnected) {
			return m, err
		}
	}
}

func callError(ctx context.Context, subject string, err error) error {
	if r := refused(ctx, err); r != err { //nolint:errorlint // identity is meant
		return r
	}
	service := strings.TrimPrefix(subject, messages.Root+".svc.")
	if i := strings.LastIndex(service, "."); i > 0 {
		service = service[:i]
	}
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		e := messages.Errorf(messages.CodeNoService, "nobody answers for %s: the service is not running", service).
			WithHint("start it; `nats service ls` shows who is there")
		e.Retryable = true
		return e
	case errors.Is(err, context.Canceled):
		return context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		e := messages.Errorf(messages.CodeNoService, "%s did not answer in time", service).
			WithHint("look at its log; `nats service stats %s` shows whether it is busy", service)
		e.Retryable = true
		return e
	default:
		return publishError(subject, err)
	}
}

func publishError(subject string, err error) error {
	if errors.Is(err, nats.ErrMaxPayload) {
		return messages.Errorf(messages.CodeTooLarge, "the message for %s is larger than the bus allows: %w", subject, err)
	}
	return messages.Errorf(messages.CodeBusUnreachable, "cannot publish to %s: %w", subject, err)
}

func withDefault(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

func plain(m *nats.Msg) Msg {
	return Msg{Subject: m.Subject, Reply: m.Reply, Data: m.Data, ID: m.Header.Get(nats.MsgIdHdr), header: m.Header}
}
