package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

func (a *app) deleteCommand() *cobra.Command {
	var f deployFlags
	cmd := &cobra.Command{
		Use:   "delete",
		Short: "delete the deployment: its VM, persistent disk and stemcell",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.delete(ctx, f)
		},
	}
	cmd.Flags().BoolVar(&f.adopt, "adopt", false, "delete a deployment of that name that was made from elsewhere")
	cmd.Flags().BoolVar(&f.detach, "detach", false, "return once the request is on the bus")
	return cmd
}

func (a *app) delete(ctx context.Context, f deployFlags) error {
	d, err := a.load("No deployment set")
	if err != nil {
		return err
	}
	name := d.manifest.Name
	s, err := a.openCloud(ctx, d)
	if err != nil {
		return err
	}
	defer s.close()
	if err := detachable(s, f.detach); err != nil {
		return err
	}
	w, err := openWatch(ctx, s, name)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	defer w.stop()
	x, err := look(ctx, s, name)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	if !x.state.Exists() && len(x.state.Open) == 0 && x.state.Run == nil && !x.open() {
		if err := statefile.CheckForgotten(d.choice.Deployment, x.state.Snapshot); err != nil {
			return err
		}
		return messages.Errorf(messages.CodeNoDeployment, "No existing instance to delete")
	}
	a.ui.Say("You are going to delete deployment `%s'.\n\nTHIS IS A VERY DESTRUCTIVE OPERATION AND IT CANNOT BE UNDONE!\n", name)
	if !a.yes {
		a.ui.Say("%s", losses(x.state.Snapshot))
		yes, err := a.ui.Confirm(ctx, "Are you sure?")
		if err != nil {
			return err
		}
		if !yes {
			a.ui.Result("Canceled deleting deployment", nil)
			return nil
		}
	}
	command, err := plainRequest(s, d, messages.VerbDelete, f.adopt)
	if err != nil {
		return err
	}
	ids := statefile.NewIdentities(folder(d.choice.Deployment))
	uid, err := identify(ids, name, x, f.adopt)
	if err != nil {
		return err
	}
	var t ticket
	if x.open() && x.ticket.uid == uid && x.command.Verb == messages.VerbDelete {
		t = a.attach(x.ticket)
	} else if t, err = a.submit(ctx, s, request{deployment: name, uid: uid, command: command}); err != nil {
		return interruptedOr(ctx, err)
	}
	done, err := a.attend(ctx, s, d, w, t, f.detach)
	if err != nil || done == nil {
		return err
	}
	if err := a.outcome(*done, w.state.Snapshot, ""); err != nil {
		return err
	}
	if err := ids.Forget(name); err != nil {
		return err
	}
	if err := statefile.WriteGiven(d.choice.Deployment, statefile.Given{}); err != nil {
		return err
	}
	took := time.Duration(done.Millis) * time.Millisecond
	a.ui.Result(fmt.Sprintf("Deleted deployment '%s', took %s to complete", name, ui.Clock(took)), result{
		Deployment: name, Run: t.run, Verb: t.verb, Outcome: done.Outcome, Millis: done.Millis,
	})
	return nil
}

// losses lists what a delete takes away.
func losses(s messages.Snapshot) string {
	var b strings.Builder
	for _, l := range left(s) {
		line := "  " + l.Kind + " " + l.CID
		if l.Kind == "persistent disk" {
			line += ", with everything on it"
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// plainRequest carries the manifest for the cloud's credentials, and no stemcell.
func plainRequest(s *session, d chosen, verb messages.Verb, adopt bool) (messages.Command, error) {
	public, secrets, err := d.manifest.Split()
	if err != nil {
		return messages.Command{}, err
	}
	sealed, err := sealTo(s.keys, messages.CommandSecrets{Manifest: secrets})
	if err != nil {
		return messages.Command{}, err
	}
	return messages.Command{
		Verb: verb, RequestedBy: requester(), Adopt: adopt,
		Manifest: public, Secrets: sealed,
	}, nil
}
