package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
)

const eventsLong = `Print what happened to the chosen deployment, a line each, in the order of
time: the facts of its journal, which stay for ever, and the events of the last
seven days (progress, requests to the agent).`

func (a *app) eventsCommand() *cobra.Command {
	var follow bool
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "events",
		Short: "print what happened to the chosen deployment",
		Long:  eventsLong,
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			if since < 0 {
				return usage("--since %s is in the future", since)
			}
			return a.events(ctx, follow, since)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens, until Ctrl-C")
	cmd.Flags().DurationVar(&since, "since", 0, "only what is not older, like 90m (0 = everything)")
	return cmd
}

func (a *app) events(ctx context.Context, follow bool, since time.Duration) error {
	d, err := a.loadName("No deployment set")
	if err != nil {
		return err
	}
	if a.bus == "" && !follow && !exists(folder(d.choice.Deployment)) {
		return nil // nothing happened, and looking makes nothing
	}
	s, err := a.open(ctx, folder(d.choice.Deployment), true)
	if err != nil {
		return err
	}
	defer s.close()
	var from time.Time
	if since > 0 {
		from = time.Now().Add(-since)
	}
	err = a.merge(ctx, s, d.manifest.Name, follow, func(e messages.Envelope) {
		if !e.Time.Before(from) {
			a.ui.Event(e)
		}
	})
	if ctx.Err() != nil {
		if follow {
			return exitError(exitInterrupted) // the way it ends
		}
		return interruptedOr(ctx, err)
	}
	return err
}

// source is one of the streams that are merged.
type source struct {
	msgs chan bus.Msg
	last uint64   // of what was there at the beginning
	head *bus.Msg // read and not told yet
	seen uint64   // of the last message read
}

func (s *source) behind() bool { return s.head == nil && s.seen < s.last }

// merge tells the journal and the events in the order of time as far as they
// are there already, then as they come.
func (a *app) merge(ctx context.Context, s *session, name string, follow bool, tell func(messages.Envelope)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 2)
	open := func(stream, filter string) (*source, error) {
		last, err := s.conn.Last(ctx, stream, filter)
		if err != nil && !errors.Is(err, bus.ErrNone) {
			return nil, err
		}
		feed, err := s.conn.Follow(ctx, stream, []string{filter}, bus.Start{})
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, feed.Stop)
		src := &source{msgs: make(chan bus.Msg), last: last.Seq}
		go pump(ctx, feed, src.msgs, failed)
		return src, nil
	}
	facts, err := open(messages.StreamJournal, messages.JournalFilter(name))
	if err != nil {
		return err
	}
	events, err := open(messages.StreamEvent, messages.EventFilter(name))
	if err != nil {
		return err
	}
	for {
		for _, src := range []*source{facts, events} {
			for src.behind() {
				if err := src.read(ctx, failed); err != nil {
					return err
				}
			}
		}
		next := earlier(facts, events)
		if next == nil {
			break
		}
		tellHead(next, tell)
	}
	for follow {
		select {
		case m := <-facts.msgs:
			facts.take(m)
			tellHead(facts, tell)
		case m := <-events.msgs:
			events.take(m)
			tellHead(events, tell)
		case err := <-failed:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (s *source) read(ctx context.Context, failed chan error) error {
	select {
	case m := <-s.msgs:
		s.take(m)
		return nil
	case err := <-failed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *source) take(m bus.Msg) { s.head, s.seen = &m, m.Seq }

// earlier is the source whose next message is the older one.
func earlier(a, b *source) *source {
	switch {
	case a.head == nil && b.head == nil:
		return nil
	case a.head == nil:
		return b
	case b.head == nil:
		return a
	}
	x, _ := messages.Decode(a.head.Data, nil)
	y, _ := messages.Decode(b.head.Data, nil)
	if y.Time.Before(x.Time) {
		return b
	}
	return a
}

// tellHead tells a message; one that cannot be read is nobody's.
func tellHead(s *source, tell func(messages.Envelope)) {
	if e, err := messages.Decode(s.head.Data, nil); err == nil {
		tell(e)
	}
	s.head = nil
}
