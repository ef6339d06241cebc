package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

const cancelLong = `End the open run. A step that only waits, for an agent, for a Director or for a
cloud that does not answer, ends at once. An effect that was asked for is
finished first, so that nothing is lost. The next deploy goes on from there.`

func (a *app) cancelCommand() *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use:   "cancel",
		Short: "end the open run, after the effect under way",
		Long:  cancelLong,
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.cancel(ctx, detach)
		},
	}
	cmd.Flags().BoolVar(&detach, "detach", false, "return once the wish is recorded")
	return cmd
}

func (a *app) cancel(ctx context.Context, detach bool) error {
	d, err := a.loadName("No deployment set")
	if err != nil {
		return err
	}
	name := d.manifest.Name
	if a.bus == "" && !exists(folder(d.choice.Deployment)) { // looking makes nothing
		return noOpenRun(name)
	}
	s, err := a.open(ctx, folder(d.choice.Deployment), false)
	if err != nil {
		return err
	}
	defer s.close()
	w, err := openWatch(ctx, s, name)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	defer w.stop()
	t, err := a.openRun(ctx, s, name)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	err = s.call(ctx, messages.ServiceSubject(messages.ServiceOrchestrator, messages.SvcCancel),
		messages.CancelRequest{Deployment: name, Run: t.run, By: requester()}, nil)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	if detach && !s.alone() {
		a.ui.Result(fmt.Sprintf("Cancel of the %s of `%s' requested", t.verb, name), t.public())
		return nil
	}
	done, err := w.follow(ctx, t, a.ui.Renderer(footer(s, t.verb)), statefile.NewProjection(d.choice.Deployment))
	if err != nil {
		return interruptedOr(ctx, err)
	}
	a.ui.Result(fmt.Sprintf("The %s of `%s' ended: %s", t.verb, name, done.Outcome), result{
		Deployment: name, Run: t.run, Verb: t.verb, Outcome: done.Outcome, Millis: done.Millis,
	})
	return nil
}
