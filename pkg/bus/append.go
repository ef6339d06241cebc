package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Append is one compare-and-set: Data goes to Subject only when the last
// message on Filter has the sequence Last (0 = there is none).
type Append struct {
	Subject string
	Filter  string // covers Subject; "" = Subject itself
	Last    uint64
	ID      string // Nats-Msg-Id, globally unique
	Data    []byte
}

// Append stores the message and gives its sequence. ErrConflict means that the
// last message on Filter is neither Last nor this one. A refusal or silence is
// no proof that somebody else wrote: the last message is looked at, and when it
// bears ID the append was ours.
func (c *Conn) Append(ctx context.Context, a Append) (uint64, error) {
	return c.append(ctx, a, nil)
}

func (c *Conn) append(ctx context.Context, a Append, header nats.Header) (uint64, error) {
	if a.Filter == "" {
		a.Filter = a.Subject
	}
	stream, err := streamOf(a.Subject)
	if err != nil {
		return 0, err
	}
	opts := []jetstream.PublishOpt{
		jetstream.WithExpectLastSequenceForSubject(a.Last, a.Filter),
		jetstream.WithRetryAttempts(0),
	}
	if a.ID != "" {
		opts = append(opts, jetstream.WithMsgID(a.ID))
	}
	var seq uint64
	err = c.retry(ctx, "append to "+a.Subject, func(ctx context.Context) error {
		var err error
		seq, err = c.publish(ctx, a.Subject, a.Data, header, opts)
		if err == nil || (!isConflict(err) && !isTransient(err)) {
			return err
		}
		last, lastErr := c.Last(ctx, stream, a.Filter)
		switch {
		case errors.Is(lastErr, ErrNone):
			last = Msg{}
		case lastErr != nil:
			return lastErr
		}
		switch {
		case last.Seq != 0 && a.ID != "" && last.ID == a.ID:
			seq = last.Seq
			return nil
		case last.Seq != a.Last:
			return fmt.Errorf("cannot append to %s: %w", a.Subject, ErrConflict)
		default:
			// Nothing has been written yet: a write that is still on its way
			// may win or lose, so the same one is sent again.
			return fmt.Errorf("%w: %w", errUndecided, err)
		}
	})
	return seq, err
}

// Send stores a message and gives its sequence. With an id a repeat is safe;
// without one a repeat over an outage may store it twice. ErrSlotTaken means
// that the subject holds as many messages as it may and none of them is this
// one.
func (c *Conn) Send(ctx context.Context, subject, id string, data []byte) (uint64, error) {
	stream, err := streamOf(subject)
	if err != nil {
		return 0, err
	}
	opts := []jetstream.PublishOpt{jetstream.WithRetryAttempts(0)}
	if id != "" {
		opts = append(opts, jetstream.WithMsgID(id))
	}
	var seq uint64
	err = c.retry(ctx, "send to "+subject, func(ctx context.Context) error {
		var err error
		seq, err = c.publish(ctx, subject, data, nil, opts)
		if !isSlotTaken(err) {
			return err
		}
		if id != "" {
			last, lastErr := c.Last(ctx, stream, subject)
			if lastErr == nil && last.ID == id {
				seq = last.Seq
				return nil
			}
		}
		return fmt.Errorf("cannot send to %s: %w", subject, ErrSlotTaken)
	})
	return seq, err
}

func (c *Conn) publish(ctx context.Context, subject string, data []byte, header nats.Header, opts []jetstream.PublishOpt) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, publishFor)
	defer cancel()
	ctx, release := c.guard(ctx, subject)
	defer release()
	m := nats.NewMsg(subject)
	m.Data = data
	for k, v := range header {
		m.Header[k] = v
	}
	ack, err := c.js.PublishMsg(ctx, m, opts...)
	if err != nil {
		if errors.Is(err, nats.ErrMaxPayload) {
			return 0, publishError(subject, err)
		}
		return 0, refused(ctx, err)
	}
	return ack.Sequence, nil
}

// streamOf names the stream that captures subject.
func streamOf(subject string) (string, error) {
	for _, s := range messages.Streams() {
		for _, pattern := range s.Subjects {
			if covers(pattern, subject) {
				return s.Name, nil
			}
		}
	}
	return "", messages.Errorf(messages.CodeInternal, "no stream captures %s", subject)
}

// covers tells whether a pattern matches a subject without wildcards.
func covers(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		switch {
		case token == ">":
			return len(s) > i
		case i >= len(s):
			return false
		case token != "*" && token != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}
