package bus

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
)

// Outcomes that programs branch on.
var (
	ErrConflict  = errors.New("somebody else wrote first")
	ErrNone      = errors.New("there is none")
	ErrSlotTaken = errors.New("the slot is taken")
)

// errUndecided marks a refusal that says nothing yet: the write that won is
// still on its way, or there is none.
var errUndecided = errors.New("nothing is written yet")

// Error codes of the server that nats.go does not name.
const (
	codeUnavailable       jetstream.ErrorCode = 10008 // JetStream system temporarily unavailable
	codeNoPeers           jetstream.ErrorCode = 10005 // no suitable peers for placement
	codeClusterNotReady   jetstream.ErrorCode = 10009 // the group has no leader
	codeNotEnabled        jetstream.ErrorCode = 10076 // JetStream not enabled
	codeInsufficient      jetstream.ErrorCode = 10023 // insufficient resources
	codeStreamOffline     jetstream.ErrorCode = 10118 // stream is offline
	codeStoreFailed       jetstream.ErrorCode = 10077 // here: maximum messages per subject exceeded
	codeNoMessage         jetstream.ErrorCode = 10037 // no message found
	codeDuplicateInFlight jetstream.ErrorCode = 10158 // the same id is being stored
)

const (
	tryFor      = 4 * time.Second  // one try of a request
	publishFor  = 2 * time.Second  // the publishing in it; the rest is for looking what became of it
	tryForTotal = 30 * time.Second // all tries, when the context has no deadline

	// answerAfter is how long after a reconnect an answer may still come: a
	// request sent before the cut is never answered, one that was buffered
	// meanwhile is.
	answerAfter = 200 * time.Millisecond
)

// isConflict recognises a lost compare-and-set: a single server says 10071, a
// replicated stream 10164.
func isConflict(err error) bool {
	code := serverCode(err)
	return code == jetstream.JSErrCodeStreamWrongLastSequence ||
		code == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}

// isSlotTaken recognises the refusal of a second message on a subject that may
// hold one.
func isSlotTaken(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeStoreFailed && strings.Contains(api.Description, "per subject")
}

// isTransient tells whether the same request may succeed a little later.
func isTransient(err error) bool {
	if errors.Is(err, errUndecided) {
		return true
	}
	switch serverCode(err) {
	case codeUnavailable, codeNoPeers, codeClusterNotReady, codeNotEnabled, codeInsufficient, codeStreamOffline, codeDuplicateInFlight:
		return true
	case 0:
	default:
		return false
	}
	for _, target := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, jetstream.ErrNoStreamResponse,
		nats.ErrDisconnected, nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded, nats.ErrStaleConnection,
		nats.ErrNoServers, jetstream.ErrJetStreamNotEnabled,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func serverCode(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	var js jetstream.JetStreamError
	if errors.As(err, &js) && js.APIError() != nil {
		return js.APIError().ErrorCode
	}
	return 0
}

// retry calls try until it succeeds, fails for good, or time is up. Each call
// has tryFor, and less when the connection was cut meanwhile.
func (c *Conn) retry(ctx context.Context, what string, try func(context.Context) error) error {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, tryForTotal)
		defer cancel()
	}
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := c.try(ctx, try)
		switch {
		case err == nil:
			return nil
		case c.ended():
			return messages.Errorf(messages.CodeBusUnreachable, "cannot %s: the connection to the bus is closed", what)
		case !isTransient(err):
			return err
		}
		if poll.Pause(ctx, pause) != nil {
			if errors.Is(ctx.Err(), context.Canceled) {
				return context.Cause(ctx)
			}
			e := messages.Errorf(messages.CodeBusUnreachable, "cannot %s: the bus at %s did not answer in time: %w", what, c.URL(), err).
				WithHint("check that the bus runs, and with `nats stream ls` that its streams exist and have a leader")
			e.Retryable = true
			return e
		}
	}
}

func (c *Conn) try(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	tryCtx, release := c.uncut(ctx)
	defer release()
	return wasCut(tryCtx, ctx, try(tryCtx))
}

// uncut gives a context that ends when the connection was cut and is back:
// what was asked before is never answered.
func (c *Conn) uncut(ctx context.Context) (context.Context, func()) {
	ctx, cut := context.WithCancelCause(ctx)
	forget := c.OnReconnect(func() { time.AfterFunc(answerAfter, func() { cut(nats.ErrDisconnected) }) })
	return ctx, func() { forget(); cut(nil) }
}

// wasCut gives nats.ErrDisconnected when err came of tryCtx's end alone.
func wasCut(tryCtx, ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && ctx.Err() == nil && errors.Is(context.Cause(tryCtx), nats.ErrDisconnected) {
		return nats.ErrDisconnected
	}
	return err
}

// refusal waits for the server to say that a subject may not be published to.
type refusal struct {
	prefix string
	cancel context.CancelCauseFunc
}

// guard gives a context that ends at once when the server refuses to have
// prefix published to. The server tells so out of band: without it a refused
// request looks like silence.
func (c *Conn) guard(ctx context.Context, prefix string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	r := &refusal{prefix: prefix, cancel: cancel}
	c.mu.Lock()
	c.refusals[r] = struct{}{}
	c.mu.Unlock()
	return ctx, func() {
		c.mu.Lock()
		delete(c.refusals, r)
		c.mu.Unlock()
		cancel(nil)
	}
}

// refused gives the server's refusal when ctx of guard ended by one, else err.
func refused(ctx context.Context, err error) error {
	var e *messages.Error
	if err != nil && errors.As(context.Cause(ctx), &e) && e.Code == messages.CodeBusDenied {
		return e
	}
	return err
}

var publishRefused = regexp.MustCompile(`(?i)violation for publish to "([^"]+)"`)

func (c *Conn) onError(sub *nats.Subscription, err error) {
	if m := publishRefused.FindStringSubmatch(err.Error()); m != nil {
		c.mu.Lock()
		for r := range c.refusals {
			if strings.HasPrefix(m[1], r.prefix) {
				r.cancel(deniedSubject("publish to", m[1]))
			}
		}
		c.mu.Unlock()
	}
	event := c.log.Warn().Err(err)
	if sub != nil {
		event = event.Str("subject", sub.Subject)
	}
	event.Msg("bus reported an error")
}

func deniedSubject(verb, subject string) *messages.Error {
	return messages.Errorf(messages.CodeBusDenied, "this identity may not %s %s", verb, subject).
		WithHint("use the key of the role that does this; what each role may do is in docs/subjects.md")
}
