package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/microbosh/microbosh/pkg/messages"
)

const (
	defaultParallel = 16
	serveGrace      = 5 * time.Second
)

// Service is a NATS micro service. Its endpoints are at
// messages.ServiceSubject(Name, method) and answer messages.ServiceReply.
type Service struct {
	Name        string
	Version     string // semantic version; another is served as 0.0.0-dev
	Description string
	Endpoints   map[string]func(ctx context.Context, request []byte) (any, error)
	Parallel    int    // requests at a time per endpoint, default 16
	Ready       func() // called once requests arrive; nil = nothing
}

// EndpointStats are what `nats service stats` shows beside the library's own
// numbers, which count only the hand-over to a handler.
type EndpointStats struct {
	Served int64 `json:"served"`
	Failed int64 `json:"failed"`
	Busy   int64 `json:"busy"` // handlers running now
}

type endpoint struct {
	c      *Conn
	handle func(context.Context, []byte) (any, error)
	slots  chan struct{}
	ctx    context.Context
	group  *sync.WaitGroup

	served, failed, busy atomic.Int64
}

// Serve answers requests until ctx ends; then it takes no more, lets the
// running handlers end, for a few seconds, and returns. A slow handler holds up
// nobody before all slots of its endpoint are taken.
func (c *Conn) Serve(ctx context.Context, s Service) error {
	var group sync.WaitGroup
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	parallel := s.Parallel
	if parallel <= 0 {
		parallel = defaultParallel
	}
	endpoints := map[string]*endpoint{}
	for method, handle := range s.Endpoints {
		endpoints[method] = &endpoint{c: c, handle: handle, slots: make(chan struct{}, parallel), ctx: work, group: &group}
	}
	cfg := micro.Config{
		Name: s.Name, Version: s.Version, Description: s.Description,
		StatsHandler: func(e *micro.Endpoint) any { return endpoints[e.Name].stats() },
		ErrorHandler: func(_ micro.Service, err *micro.NATSError) {
			c.log.Warn().Str("subject", err.Subject).Str("err", err.Description).Msg("service reported an error")
		},
	}
	svc, err := micro.AddService(c.nc, cfg)
	if errors.Is(err, micro.ErrConfigValidation) && s.Version != "0.0.0-dev" {
		cfg.Version = "0.0.0-dev"
		svc, err = micro.AddService(c.nc, cfg)
	}
	if err != nil {
		return messages.Errorf(messages.CodeInternal, "cannot serve %s: %w", s.Name, err)
	}
	for method, e := range endpoints {
		subject := messages.ServiceSubject(s.Name, method)
		if err := svc.AddEndpoint(method, micro.HandlerFunc(e.accept), micro.WithEndpointSubject(subject)); err != nil {
			_ = svc.Stop()
			return messages.Errorf(messages.CodeInternal, "cannot serve %s: %w", subject, err)
		}
	}
	if err := c.Flush(ctx); err != nil {
		_ = svc.Stop()
		return err
	}
	if s.Ready != nil {
		s.Ready()
	}
	<-ctx.Done()
	_ = svc.Stop()
	ended := make(chan struct{})
	go func() { group.Wait(); close(ended) }()
	t := time.NewTimer(serveGrace)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
		stop()
		<-ended
	}
	return nil
}

// accept hands a request to a free slot. Only here, on the endpoint's own
// goroutine, is the request touched: the library reads it after accept returns.
func (e *endpoint) accept(r micro.Request) {
	data, reply := r.Data(), r.Reply()
	select {
	case e.slots <- struct{}{}:
	case <-e.ctx.Done():
		return
	}
	e.busy.Add(1)
	e.group.Go(func() {
		defer func() {
			e.busy.Add(-1)
			<-e.slots
		}()
		e.answer(data, reply)
	})
}

func (e *endpoint) answer(data []byte, reply string) {
	e.served.Add(1)
	value, err := e.call(data)
	out := nats.NewMsg(reply)
	if err == nil {
		out.Data, err = encodeReply(value)
	}
	if err != nil {
		e.failed.Add(1)
		we := messages.AsError(err)
		out.Header.Set(micro.ErrorHeader, clipLine(we.Message))
		out.Header.Set(micro.ErrorCodeHeader, string(we.Code))
		if out.Data, err = json.Marshal(messages.ServiceReply{Error: we}); err != nil {
			return
		}
	}
	if reply == "" {
		return
	}
	if err := e.c.nc.PublishMsg(out); err != nil {
		e.c.log.Warn().Err(err).Msg("a reply was not sent")
	}
}

func (e *endpoint) call(data []byte) (any, error) {
	if len(data) > messages.MaxMessage {
		return nil, messages.Errorf(messages.CodeTooLarge, "the request is %d bytes, at most %d are read", len(data), messages.MaxMessage)
	}
	return e.handle(e.ctx, data)
}

func (e *endpoint) stats() EndpointStats {
	return EndpointStats{Served: e.served.Load(), Failed: e.failed.Load(), Busy: e.busy.Load()}
}

func encodeReply(value any) ([]byte, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the reply: %w", err)
	}
	out, err := json.Marshal(messages.ServiceReply{Value: raw})
	if err != nil {
		return nil, fmt.Errorf("cannot encode the reply: %w", err)
	}
	return out, nil
}

// clipLine makes a text fit a header.
func clipLine(s string) string {
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if len(out) == 200 {
			break
		}
		if r < ' ' || r == 0x7f {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}
