package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

const watchLong = `Follow a run of the chosen deployment to its end, or tell again how one went
that has ended. RUN is a run's id, or the beginning of one, as history and
status show them; without it the open run is followed, else the last one told.

The exit code is the run's.`

func (a *app) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch [RUN]",
		Short: "follow a run, or tell again how it went",
		Long:  watchLong,
		Args:  usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.watchRun(ctx, strings.Join(args, ""))
		},
	}
}

func (a *app) watchRun(ctx context.Context, id string) error {
	d, err := a.loadName("No deployment set")
	if err != nil {
		return err
	}
	name := d.manifest.Name
	if a.bus == "" && !exists(folder(d.choice.Deployment)) {
		return noRun(name, id)
	}
	s, err := a.open(ctx, folder(d.choice.Deployment), true)
	if err != nil {
		return err
	}
	defer s.close()
	w, err := openWatch(ctx, s, name)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	defer w.stop()
	x, err := look(ctx, s, name)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	t, end, err := choose(x, name, id)
	if err != nil {
		return err
	}
	done := &messages.RunDone{}
	if end != nil {
		*done, w.state, err = a.retell(ctx, s, t)
		err = interruptedOr(ctx, err)
	} else {
		w.left = s.alone
		done, err = a.attend(ctx, s, d, w, t, false)
	}
	if err != nil {
		return err
	}
	if err := a.outcome(*done, w.state.Snapshot, ""); err != nil {
		return err
	}
	took := time.Duration(done.Millis) * time.Millisecond
	a.ui.Result(fmt.Sprintf("The %s of `%s' ended: %s, took %s", t.verb, name, done.Outcome, ui.Clock(took)), result{
		Deployment: name, Run: t.run, Verb: t.verb, Outcome: done.Outcome, Millis: done.Millis,
	})
	return nil
}

// choose finds the run that is meant. An end tells that it has ended.
func choose(x sight, name, id string) (ticket, *messages.RunEnd, error) {
	var found []ticket
	var ends []*messages.RunEnd
	if x.open() && strings.HasPrefix(x.ticket.run, id) {
		found, ends = append(found, x.ticket), append(ends, nil)
	}
	if id != "" || len(found) == 0 {
		for _, r := range x.state.FinishedRuns {
			if strings.HasPrefix(r.Run, id) {
				found, ends = append(found, ticket{deployment: name, run: r.Run, verb: r.Verb}), append(ends, &r)
			}
		}
	}
	switch last := len(found) - 1; {
	case last < 0:
		return ticket{}, nil, noRun(name, id)
	case id != "" && last > 0:
		return ticket{}, nil, messages.Errorf(messages.CodeUsage, "%d runs of `%s' begin with %q", len(found), name, id).
			WithHint("give more of the id; `microbosh history` lists them")
	default:
		return found[last], ends[last], nil
	}
}

func noRun(name, id string) error {
	if id == "" {
		return messages.Errorf(messages.CodeNoDeployment, "there was no run of `%s' yet", name)
	}
	return messages.Errorf(messages.CodeNoDeployment, "no run of `%s' begins with %q", name, id).
		WithHint("`microbosh history` lists those that have ended")
}

// retell tells the story of a run that has ended, and gives its end and what
// there was then, from the journal's beginning
// on: what was before the last snapshot is still there.
func (a *app) retell(ctx context.Context, s *session, t ticket) (messages.RunDone, workflow.State, error) {
	state := workflow.State{Snapshot: messages.Snapshot{Deployment: t.deployment}}
	facts, err := s.conn.Follow(ctx, messages.StreamJournal, []string{messages.JournalFilter(t.deployment)}, bus.Start{})
	if err != nil {
		return messages.RunDone{}, state, err
	}
	defer facts.Stop()
	story, show := ui.NewStory(t.run, t.verb), a.ui.Renderer("")
	defer show.Close()
	for {
		m, err := facts.Next(ctx)
		if err != nil {
			return messages.RunDone{}, state, err
		}
		fact := journal.ReadFact(m)
		state = workflow.Fold(state, fact)
		for _, l := range story.Fact(fact.Run, fact.Time, fact.Body) {
			show.Show(l)
		}
		if done, ok := fact.Body.(messages.RunDone); ok && fact.Run == t.run {
			return done, state, nil
		}
	}
}

// abandoned is what a command that only looks says when nobody works on a run.
func abandoned(t ticket) error {
	return messages.Errorf(messages.CodeNoService, "the %s of `%s' is open, and nothing works on it here", t.verb, t.deployment).
		WithHint("the command that asked for it goes on from there; `microbosh cancel` gives it up")
}
