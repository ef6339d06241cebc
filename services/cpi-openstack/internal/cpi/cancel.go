package cpi

import (
	"context"
	"fmt"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
)

// cancelWatch ends its ctx when the step's run is cancelled. It is opened by a
// step that has failed once and is tried again: nobody waits for a cloud that
// does not answer when nobody wants what it would make. The orchestrator tells
// it again and again, so one that begins late hears it, too.
type cancelWatch struct {
	ctx   context.Context
	close func()
}

func (s *Step) watchCancel(ctx context.Context) cancelWatch {
	ctx, end := context.WithCancel(ctx)
	w := cancelWatch{ctx, end}
	if s.worker.Conn == nil { // called as a program, there is no run
		return w
	}
	subject := messages.EventSubject(s.Deployment(), messages.ServiceOrchestrator, messages.EventUnwanted)
	stop, err := s.worker.Conn.Subscribe(ctx, subject, func(m bus.Msg) {
		if e, err := messages.Decode(m.Data, nil); err == nil && e.Step == s.ID() && e.Run == s.envelope.Run {
			end()
		}
	})
	if err != nil {
		s.Log.Debug().Err(err).Msg("a cancel is not heard before the step's end")
		return w
	}
	w.close = func() { stop(); end() }
	return w
}

// underWay tells whether the cloud may be at something that it was asked for,
// so that this is worth to be waited for although nobody wants it. Nobody waits
// for a cloud that is not there: what the ledger knows stays open.
func (s *Step) underWay(err error) bool {
	return messages.CodeOf(err) != messages.CodeCloudUnreachable && (s.open() || ambiguous(err))
}

// again says that an attempt failed, why, and how long it is gone on with.
func (s *Step) again(err error, attempt int) string {
	return fmt.Sprintf("attempt %d failed, tried until %s UTC: %v (`microbosh cancel` ends it)",
		attempt, s.command.Deadline.UTC().Format("15:04:05"), err)
}
