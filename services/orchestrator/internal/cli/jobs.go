package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

// jobsVerb is a run that does something to the jobs and leaves the VM alone.
type jobsVerb struct {
	verb        messages.Verb
	asks        string // "" = nothing is asked
	done        string // past tense
	short, long string
	spec        json.RawMessage // apply: what the jobs are to be
}

func (a *app) stopCommand() *cobra.Command {
	return a.jobsCommand(jobsVerb{
		verb: messages.VerbStop, asks: "Stopping the jobs of", done: "Stopped the jobs of",
		short: "stop the jobs on the VM, which stays",
		long: `Stop the jobs on the VM. The VM, its persistent disk and its address stay, and
the agent goes on answering; start starts the jobs again, and so does a deploy.`,
	})
}

func (a *app) startCommand() *cobra.Command {
	return a.jobsCommand(jobsVerb{
		verb: messages.VerbStart, done: "Started the jobs of",
		short: "start the jobs on the VM again",
		long:  `Start the jobs that stop has stopped, and wait until the Director answers.`,
	})
}

func (a *app) jobsCommand(v jobsVerb) *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use:   string(v.verb),
		Short: v.short,
		Long:  v.long,
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.jobs(ctx, v, detach)
		},
	}
	cmd.Flags().BoolVar(&detach, "detach", false, "return once the request is on the bus")
	return cmd
}

func (a *app) jobs(ctx context.Context, v jobsVerb, detach bool) error {
	d, err := a.load("No deployment set")
	if err != nil {
		return err
	}
	name := d.manifest.Name
	nothing := messages.Errorf(messages.CodeNoDeployment, "No existing instance to %s", v.verb)
	if a.bus == "" && !exists(folder(d.choice.Deployment)) {
		return nothing
	}
	s, err := a.open(ctx, folder(d.choice.Deployment), false)
	if err != nil {
		return err
	}
	defer s.close()
	if err := detachable(s, detach); err != nil {
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
	if x.state.VM == nil {
		return nothing
	}
	if v.asks != "" {
		if err := a.confirm(ctx, v.asks+" "+a.describe(d, x.state), fmt.Sprintf("Canceled the %s", v.verb)); err != nil {
			return err
		}
	}
	command, err := jobsRequest(s, d, v)
	if err != nil {
		return err
	}
	uid, err := identify(statefile.NewIdentities(folder(d.choice.Deployment)), name, x, false)
	if err != nil {
		return err
	}
	t, err := a.submit(ctx, s, request{deployment: name, uid: uid, command: command})
	if err != nil {
		return interruptedOr(ctx, err)
	}
	done, err := a.attend(ctx, s, d, w, t, detach)
	if err != nil || done == nil {
		return err
	}
	if err := a.outcome(*done, w.state.Snapshot, ""); err != nil {
		return err
	}
	took := time.Duration(done.Millis) * time.Millisecond
	a.ui.Result(fmt.Sprintf("%s `%s', took %s to complete", v.done, name, ui.Clock(took)), result{
		Deployment: name, Run: t.run, Verb: t.verb, Outcome: done.Outcome, Millis: done.Millis,
	})
	return nil
}

// jobsRequest is the request of a jobs verb.
func jobsRequest(s *session, d chosen, v jobsVerb) (messages.Command, error) {
	command, err := plainRequest(s, d, v.verb, false)
	if err != nil || v.spec == nil {
		return command, err
	}
	_, secrets, err := d.manifest.Split()
	if err != nil {
		return messages.Command{}, err
	}
	if command.Secrets, err = sealTo(s.keys, messages.CommandSecrets{Manifest: secrets, ApplySpec: v.spec}); err != nil {
		return messages.Command{}, err
	}
	ring, err := seal.ReadRing(s.keys, messages.RoleCLI)
	if err != nil {
		return messages.Command{}, err
	}
	command.ConfigSHA1 = ring.Digest(v.spec) // one spec is not another
	return command, nil
}

// detachable refuses to leave a run to a control plane that ends with the
// command.
func detachable(s *session, detach bool) error {
	if detach && s.alone() {
		return messages.Errorf(messages.CodeUsage, "--detach needs a control plane that stays").
			WithHint("run `microbosh dev`, or name a bus with --bus")
	}
	return nil
}
