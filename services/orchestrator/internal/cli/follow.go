package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

const (
	closeFor  = 3 * time.Second  // from the run's last fact until its request has left the slot
	unclaimed = 10 * time.Second // until it is worth a word that nobody takes the request
)

// watch follows runs of one deployment. It is opened before a request is sent,
// so that nothing is missed.
type watch struct {
	facts  *bus.Feed
	events *bus.Feed
	state  workflow.State
	left   func() bool // tells that nobody works on runs any more; nil = somebody does
}

// openWatch follows the deployment's journal from its last snapshot on: a run
// that is open, and may be joined half-way, began after it.
func openWatch(ctx context.Context, s *session, deployment string) (*watch, error) {
	snapshot, err := s.conn.Last(ctx, messages.StreamJournal, messages.JournalSubject(deployment, messages.FactSnapshot))
	if err != nil && !errors.Is(err, bus.ErrNone) {
		return nil, err
	}
	w := &watch{state: workflow.State{Snapshot: messages.Snapshot{Deployment: deployment}}}
	w.facts, err = s.conn.Follow(ctx, messages.StreamJournal, []string{messages.JournalFilter(deployment)}, bus.Start{Sequence: snapshot.Seq})
	if err != nil {
		return nil, err
	}
	w.events, err = s.conn.Follow(ctx, messages.StreamEvent, []string{messages.EventFilter(deployment)}, bus.Start{New: true})
	if err != nil {
		w.facts.Stop()
		return nil, err
	}
	return w, nil
}

func (w *watch) stop() {
	w.facts.Stop()
	w.events.Stop()
}

// follow tells the story of a run until its end. Facts are also written to
// bosh-deployments.yml as they come.
func (w *watch) follow(ctx context.Context, t ticket, show ui.Renderer, project *statefile.Projection) (messages.RunDone, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	facts, events, failed := make(chan bus.Msg), make(chan bus.Msg), make(chan error, 2)
	go pump(ctx, w.facts, facts, failed)
	go pump(ctx, w.events, events, failed)

	defer show.Close()
	pulse := time.NewTicker(time.Second)
	defer pulse.Stop()
	screen := make(chan os.Signal, 1)
	signal.Notify(screen, syscall.SIGWINCH, syscall.SIGCONT)
	defer signal.Stop(screen)

	story := ui.NewStory(t.run, t.verb)
	tell := func(lines []ui.Line) {
		for _, l := range lines {
			show.Show(l)
		}
	}
	patience := time.NewTimer(unclaimed)
	defer patience.Stop()
	var done *messages.RunDone
	var closed bool // facts and events are different streams: either end may come first
	var closing <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return messages.RunDone{}, context.Cause(ctx)
		case err := <-failed:
			return messages.RunDone{}, err
		case <-patience.C:
			tell([]ui.Line{{Kind: ui.KindNote, Run: t.run, Text: "no orchestrator has taken the request yet; it is safe on the bus"}})
		case now := <-pulse.C:
			if w.left != nil && w.left() && done == nil {
				return messages.RunDone{}, abandoned(t)
			}
			show.Tick(now)
		case sig := <-screen:
			if sig == syscall.SIGCONT {
				show.Lost()
			}
			show.Tick(time.Now())
		case <-closing:
			return *done, nil
		case m := <-facts:
			fact := journal.ReadFact(m)
			w.state = workflow.Fold(w.state, fact)
			if err := project.Save(w.state.Snapshot); err != nil {
				tell([]ui.Line{{Kind: ui.KindNote, Run: t.run, Text: err.Error()}})
			}
			if fact.Run != t.run {
				continue
			}
			patience.Stop()
			tell(story.Fact(fact.Run, fact.Time, fact.Body))
			if d, ok := fact.Body.(messages.RunDone); ok && done == nil {
				if closed {
					return d, nil
				}
				done = &d
				closing = time.After(closeFor)
			}
		case m := <-events:
			envelope, err := messages.Decode(m.Data, nil)
			if err != nil || envelope.Run != t.run {
				continue
			}
			switch envelope.TypeName(messages.ClassEvent) {
			case messages.EventProgress:
				var p messages.Progress
				if envelope.Into(&p) == nil {
					tell(story.Progress(envelope.Run, envelope.Time, p))
				}
			case messages.EventRunClosed:
				if done != nil {
					return *done, nil
				}
				closed = true
			}
		}
	}
}

func pump(ctx context.Context, feed *bus.Feed, out chan<- bus.Msg, failed chan<- error) {
	for {
		m, err := feed.Next(ctx)
		if err != nil {
			if ctx.Err() == nil {
				failed <- err
			}
			return
		}
		select {
		case out <- m:
		case <-ctx.Done():
			return
		}
	}
}
