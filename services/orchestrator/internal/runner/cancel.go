package runner

import (
	"context"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
)

// heed ends a step's wait when the run is cancelled.
type heed struct {
	cut  context.Context // of steps.Call
	end  context.CancelFunc
	stop context.CancelFunc // of the look at the journal
	done chan struct{}      // closed when that has ended; nil: it never began
}

// newHeed knows what the journal has told so far.
func (r *run) newHeed() *heed {
	h := &heed{stop: func() {}}
	h.cut, h.end = context.WithCancel(context.Background())
	if open := r.journal.State.Run; open != nil && open.Cancelled {
		h.end()
	}
	return h
}

// follow looks for the cancel behind what the run has read. Only a step that
// takes its time costs a feed.
func (h *heed) follow(ctx context.Context, r *run) {
	if h.done != nil || h.cut.Err() != nil {
		return
	}
	h.done = make(chan struct{})
	ctx, h.stop = context.WithCancel(ctx)
	from := bus.Start{Sequence: r.journal.Seq + 1}
	go func() {
		defer close(h.done)
		subject := messages.JournalSubject(r.envelope.Deployment, messages.FactCancelRequested)
		feed, err := r.Conn.Follow(ctx, messages.StreamJournal, []string{subject}, from)
		if err != nil {
			r.log.Debug().Err(err).Msg("a cancel is seen at the step's end only")
			return
		}
		defer feed.Stop()
		for {
			m, err := feed.Next(ctx)
			if err != nil {
				return
			}
			if e, err := messages.Decode(m.Data, nil); err == nil && e.Run == r.envelope.ID {
				h.end()
				return
			}
		}
	}()
}

// close ends the look, and waits for that.
func (h *heed) close() {
	h.stop()
	if h.done != nil {
		<-h.done
	}
	h.end()
}
