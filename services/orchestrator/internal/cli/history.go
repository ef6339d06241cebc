package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

func (a *app) historyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "history",
		Short: "list the runs of the chosen deployment that have ended",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.history(ctx)
		},
	}
}

func (a *app) history(ctx context.Context) error {
	d, err := a.loadName("Please choose deployment first")
	if err != nil {
		return err
	}
	runs := []messages.RunEnd{}
	if a.bus != "" || exists(folder(d.choice.Deployment)) {
		s, err := a.open(ctx, folder(d.choice.Deployment), true)
		if err != nil {
			return err
		}
		defer s.close()
		log, err := journal.New(s.conn, "").Load(ctx, d.manifest.Name)
		if err != nil {
			return interruptedOr(ctx, err)
		}
		runs = append(runs, log.State.FinishedRuns...)
	}
	a.ui.Result(historyText(runs), runs)
	return nil
}

func historyText(runs []messages.RunEnd) string {
	if len(runs) == 0 {
		return "No runs"
	}
	rows := make([][]string, 0, len(runs))
	for _, r := range runs {
		why := r.Message
		if r.Error != nil {
			why = r.Error.Message
		}
		rows = append(rows, []string{
			r.Run, r.Time.Local().Format(time.DateTime), string(r.Verb), string(r.Outcome),
			ui.Clock(time.Duration(r.Millis) * time.Millisecond), r.Step, ui.Printable(why),
		})
	}
	return ui.Table([]string{"Run", "Ended", "Verb", "Outcome", "Took", "Step", "Why"}, rows)
}
