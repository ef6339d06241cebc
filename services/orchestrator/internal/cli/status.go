package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "show what the chosen deployment consists of, and what happens to it",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.status(ctx)
		},
	}
}

func (a *app) status(ctx context.Context) error {
	d, err := a.loadName("Please choose deployment first")
	if err != nil {
		return err
	}
	if a.bus == "" && !exists(folder(d.choice.Deployment)) {
		// Nothing was deployed from here: looking makes no folder.
		nothing := messages.Snapshot{Deployment: d.manifest.Name}
		a.ui.Result(a.statusText(d, workflow.State{Snapshot: nothing}), messages.StatusReply{State: nothing})
		return nil
	}
	s, err := a.open(ctx, folder(d.choice.Deployment), true)
	if err != nil {
		return err
	}
	defer s.close()
	log, err := journal.New(s.conn, "").Load(ctx, d.manifest.Name)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	reply := messages.StatusReply{State: log.State.Snapshot, Seq: log.Seq}
	if r := log.State.Run; r != nil {
		reply.Run = &messages.RunStatus{Run: r.ID, Verb: r.Verb, Owner: r.Owner, Cancelled: r.Cancelled}
		for _, intent := range log.State.Open {
			reply.Run.Step = intent.Step
		}
	}
	if n := len(log.State.FinishedRuns); n > 0 {
		reply.Last = &log.State.FinishedRuns[n-1]
	}
	a.ui.Result(a.statusText(d, log.State), reply)
	return nil
}

// statusText has BOSH's rows in BOSH's order, then what is under way.
func (a *app) statusText(d chosen, s workflow.State) string {
	var stemcell, stemcellName, vm, disk, target string
	if s.Stemcell != nil {
		stemcell, stemcellName = s.Stemcell.CID, s.Stemcell.Name
		if stemcellName == "" {
			stemcellName = s.Stemcell.CID
		}
	}
	if s.VM != nil {
		vm = s.VM.CID
	}
	if s.Disk != nil {
		disk = s.Disk.CID
	}
	if s.Target != nil {
		target = fmt.Sprintf("%s (%s, version %s)", s.Target.URL, s.Target.Name, s.Target.Version)
	}
	rows := [][2]string{
		{"Stemcell CID", stemcell}, {"Stemcell name", stemcellName}, {"VM CID", vm}, {"Disk CID", disk},
		{"Micro BOSH CID", s.InstanceUUID}, {"Deployment", d.choice.Deployment}, {"Target", target},
	}
	if s.VM != nil && !s.VM.Running && s.Run == nil {
		rows = append(rows, [2]string{"Jobs", "stopped, or never started"})
	}
	if run := runText(s); run != "" {
		rows = append(rows, [2]string{"Run", run})
	}
	var b strings.Builder
	for _, row := range rows {
		value := row[1]
		if value == "" {
			value = a.ui.Missing()
		}
		fmt.Fprintf(&b, "%-15s %s\n", row[0], value)
	}
	return b.String()
}

func runText(s workflow.State) string {
	if s.Run != nil {
		text := fmt.Sprintf("%s since %s", s.Run.Verb, s.Run.Started.Local().Format(time.DateTime))
		for _, intent := range s.Open {
			text += ", in step " + intent.Step
		}
		if s.Run.Cancelled {
			text += ", cancel requested"
		}
		return text
	}
	if n := len(s.FinishedRuns); n > 0 {
		last := s.FinishedRuns[n-1]
		text := fmt.Sprintf("none; the last one was %s at %s: %s", last.Verb, last.Time.Local().Format(time.DateTime), last.Outcome)
		if last.Error != nil {
			text += " (" + ui.Printable(last.Error.Message) + ")"
		}
		return text
	}
	return ""
}
