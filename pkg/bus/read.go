package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/microbosh/microbosh/pkg/messages"
)

// getRequest and getReply are the server's STREAM.MSG.GET, which the leader of
// the stream answers. Direct gets are never used: a replica may lag.
type getRequest struct {
	Seq  uint64 `json:"seq,omitempty"`
	Last string `json:"last_by_subj,omitempty"`
	Next string `json:"next_by_subj,omitempty"`
}

type getReply struct {
	Error   *jetstream.APIError `json:"error"`
	Message *struct {
		Subject string    `json:"subject"`
		Seq     uint64    `json:"seq"`
		Header  []byte    `json:"hdrs"`
		Data    []byte    `json:"data"`
		Time    time.Time `json:"time"`
	} `json:"message"`
}

// Last gives the last message on filter as the stream's leader knows it, or
// ErrNone.
func (c *Conn) Last(ctx context.Context, stream, filter string) (Msg, error) {
	return c.get(ctx, stream, getRequest{Last: filter})
}

// Read gives every message on filter from sequence from up to the last one at
// the time of the call, as the stream's leader knows them.
func (c *Conn) Read(ctx context.Context, stream, filter string, from uint64) ([]Msg, error) {
	out := []Msg{}
	last, err := c.Last(ctx, stream, filter)
	if errors.Is(err, ErrNone) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	for seq := max(from, 1); seq < last.Seq; {
		if len(out) == few && keepsAll(stream) {
			return c.rest(ctx, stream, filter, seq, last, out)
		}
		m, err := c.get(ctx, stream, getRequest{Seq: seq, Next: filter})
		if errors.Is(err, ErrNone) {
			break
		}
		if err != nil {
			return nil, err
		}
		if m.Seq >= last.Seq {
			break
		}
		out = append(out, m)
		seq = m.Seq + 1
	}
	if last.Seq >= from {
		out = append(out, last)
	}
	return out, nil
}

// few is how many messages are read one by one before a consumer is made for
// the rest: making one costs as much as some reads do.
const few = 20

// keepsAll tells whether a stream never loses a message, so that waiting for
// one that its leader has shown must end.
func keepsAll(stream string) bool {
	return slices.ContainsFunc(messages.Streams(), func(s messages.Stream) bool { return s.Name == stream && s.DenyDelete })
}

// rest reads from sequence from to last through a consumer. A replica that lags
// catches up, for last is stored.
func (c *Conn) rest(ctx context.Context, stream, filter string, from uint64, last Msg, out []Msg) ([]Msg, error) {
	feed, err := c.Follow(ctx, stream, []string{filter}, Start{Sequence: from})
	if err != nil {
		return nil, err
	}
	defer feed.Stop()
	for {
		m, err := feed.Next(ctx)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", stream, err)
		}
		if m.Seq > last.Seq {
			return out, nil
		}
		if out = append(out, m); m.Seq == last.Seq {
			return out, nil
		}
	}
}

func (c *Conn) get(ctx context.Context, stream string, request getRequest) (Msg, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return Msg{}, fmt.Errorf("cannot encode a read: %w", err)
	}
	var out Msg
	err = c.retry(ctx, "read "+stream, func(ctx context.Context) error {
		var reply getReply
		if err := c.api(ctx, "STREAM.MSG.GET."+stream, body, &reply); err != nil {
			return err
		}
		switch {
		case reply.Error != nil && reply.Error.ErrorCode == codeNoMessage:
			return ErrNone
		case reply.Error != nil && reply.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound:
			return noStream(stream)
		case reply.Error != nil:
			return fmt.Errorf("cannot read %s: %w", stream, reply.Error)
		case reply.Message == nil:
			return messages.Errorf(messages.CodeMalformed, "the bus answered a read of %s with nothing", stream)
		}
		m := reply.Message
		out = Msg{Subject: m.Subject, Data: m.Data, Seq: m.Seq, Time: m.Time}
		if len(m.Header) > 0 {
			h, err := nats.DecodeHeadersMsg(m.Header)
			if err != nil {
				return messages.Errorf(messages.CodeMalformed, "message %d of %s has a broken header: %w", m.Seq, stream, err)
			}
			out.header, out.ID = h, h.Get(nats.MsgIdHdr)
		}
		return nil
	})
	return out, err
}

// nothing tells whether the stream's leader says at the first try that there is
// no such message. It is get without what get needs to be patient, which costs
// as much again as the question.
func (c *Conn) nothing(stream string, request getRequest) bool {
	body, err := json.Marshal(request)
	if err != nil {
		return false
	}
	m, err := c.nc.Request("$JS.API.STREAM.MSG.GET."+stream, body, answerAfter)
	var reply getReply
	return err == nil && json.Unmarshal(m.Data, &reply) == nil && reply.Error != nil && reply.Error.ErrorCode == codeNoMessage
}

// api sends one JetStream request and decodes its reply.
func (c *Conn) api(ctx context.Context, request string, body []byte, into any) error {
	subject := "$JS.API." + request
	ctx, release := c.guard(ctx, subject)
	defer release()
	m, err := c.nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return refused(ctx, err)
	}
	if err := json.Unmarshal(m.Data, into); err != nil {
		return messages.Errorf(messages.CodeMalformed, "the reply of %s cannot be read: %w", subject, err)
	}
	return nil
}

func noStream(stream string) error {
	return messages.Errorf(messages.CodeBusUnreachable, "the bus has no stream %s", stream).
		WithHint("the bus is not provisioned: run `microbosh init` against it")
}
