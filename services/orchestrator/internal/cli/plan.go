package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/plan"
	"github.com/microbosh/microbosh/services/orchestrator/internal/runner"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// pingFor is how long an agent may take to answer before it is called silent:
// longer than BOSH's longest pause between two tries to reach the bus.
const pingFor = 12 * time.Second

const planLong = `Show what a deploy would do and why: what is created, recreated, changed, kept
and destroyed; and where the cloud is not as the journal tells it.

Nothing is changed. Exit codes: 0 nothing to do, 10 changes found.`

func (a *app) planCommand() *cobra.Command {
	var recreate bool
	cmd := &cobra.Command{
		Use:   "plan [STEMCELL]",
		Short: "show what a deploy would do, and why",
		Long:  planLong,
		Args:  usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.plan(ctx, strings.Join(args, ""), recreate)
		},
	}
	cmd.Flags().BoolVar(&recreate, "recreate", false, "plan a deploy with --recreate")
	return cmd
}

func (a *app) plan(ctx context.Context, arg string, recreate bool) error {
	d, err := a.loadAnew("No deployment set")
	if err != nil {
		return err
	}
	if arg, err = stemcellOf(d, arg); err != nil {
		return err
	}
	if err := a.refuseCloud(d); err != nil {
		return err
	}
	load, err := a.openStemcell(ctx, arg)
	if err != nil {
		return err
	}
	a.warnNoDisk(d)
	x, seen, err := a.survey(ctx, d)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	f := deployFlags{updateIfExists: true, recreate: recreate}
	verb, _, err := a.verb(d, x.state, f)
	if err != nil {
		return err
	}
	p := makePlan(d, x, messages.Command{Verb: verb, Recreate: recreate, ConfigSHA1: x.config, Stemcell: load.ref}, seen)
	text := fmt.Sprintf("Plan for %s (%s)\n%s", a.describe(d, x.state), verb, p.Text())
	if x.open() {
		text = fmt.Sprintf("The %s %s is under way: what it has not done yet is not in this plan\n\n%s", x.command.Verb, x.ticket.run, text)
	}
	if p.Changes {
		text += fmt.Sprintf("\nNothing was changed. This does it:\n  microbosh deploy %s%s%s\n", arg, deployWords(verb, recreate), a.inputWords())
	}
	a.ui.Result(text, p)
	if p.Changes || len(p.Drift) > 0 {
		return exitError(exitChanges)
	}
	return nil
}

func deployWords(verb messages.Verb, recreate bool) string {
	switch {
	case verb == messages.VerbCreate:
		return ""
	case recreate:
		return " --update --recreate"
	default:
		return " --update"
	}
}

// survey reads the journal and asks the cloud. Where nothing was deployed yet,
// nobody is asked and no folder made.
func (a *app) survey(ctx context.Context, d chosen) (sight, plan.Seen, error) {
	if a.bus == "" && !exists(folder(d.choice.Deployment)) {
		return sight{state: workflow.State{Snapshot: messages.Snapshot{Deployment: d.manifest.Name}}}, plan.Seen{}, nil
	}
	s, err := a.openAsking(ctx, folder(d.choice.Deployment))
	if err != nil {
		return sight{}, plan.Seen{}, err
	}
	defer s.close()
	if plugin := d.manifest.Cloud.Plugin; plugin != ownCloud {
		if err := s.serves(ctx, plugin); err != nil {
			return sight{}, plan.Seen{}, err
		}
	}
	x, err := lookWith(ctx, s, d)
	if err != nil {
		return sight{}, plan.Seen{}, err
	}
	seen, err := a.see(ctx, s, d, x.state.Snapshot)
	return x, seen, err
}

// see asks the cloud and the agent about everything that the journal knows.
func (a *app) see(ctx context.Context, s *session, d chosen, state messages.Snapshot) (plan.Seen, error) {
	seen, err := askCloud(ctx, s, d, state)
	if err != nil {
		return plan.Seen{}, err
	}
	if seen.VM && !s.alone() { // alone there is no orchestrator, which could ask the agent
		seen.Agent = a.answers(ctx, s, d)
	}
	return seen, nil
}

func askCloud(ctx context.Context, s *session, d chosen, state messages.Snapshot) (plan.Seen, error) {
	seen := plan.Seen{Asked: true, Disks: map[string]bool{}}
	if state.UID == "" {
		return plan.Seen{}, nil
	}
	if vm := state.VM; vm != nil {
		args := messages.VMArgs{VMCID: vm.CID}
		if err := s.ask(ctx, d.manifest, messages.SvcHasVM, args, &seen.VM); err != nil {
			return plan.Seen{}, err
		}
		if seen.VM {
			err := s.ask(ctx, d.manifest, messages.SvcGetDisks, args, &seen.Attached)
			if err != nil && !cannotTell(err) {
				return plan.Seen{}, err
			}
		}
	}
	for _, disk := range []*messages.Disk{state.Disk, state.NewDisk, state.OldDisk} {
		if disk == nil {
			continue
		}
		var has bool
		if err := s.ask(ctx, d.manifest, messages.SvcHasDisk, messages.DiskOnlyArgs{DiskCID: disk.CID}, &has); err != nil {
			return plan.Seen{}, err
		}
		seen.Disks[disk.CID] = has
	}
	var found messages.FindReply
	err := s.ask(ctx, d.manifest, messages.SvcFind, messages.FindArgs{UID: state.UID}, &found)
	if err != nil && !cannotTell(err) {
		return plan.Seen{}, err
	}
	seen.Tagged = found.Resources
	return seen, nil
}

// cannotTell tells whether a CPI does not have a question at all.
func cannotTell(err error) bool { return messages.CodeOf(err) == messages.CodeNotSupported }

// answers pings the agent; nil when it cannot be asked.
func (a *app) answers(ctx context.Context, s *session, d chosen) *bool {
	ctx, cancel := context.WithTimeout(ctx, pingFor)
	defer cancel()
	status := messages.ServiceSubject(messages.ServiceOrchestrator, messages.SvcStatus)
	if s.conn.Call(ctx, status, messages.DeploymentRequest{Deployment: d.manifest.Name}, nil) != nil {
		return nil // no orchestrator serves here
	}
	_, err := s.message(ctx, d, uuid.NewString(), "ping", nil)
	answers := err == nil
	switch {
	case answers, messages.CodeOf(err) == messages.CodeAgentTimeout, errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &answers
	default:
		return nil // a run talks to the agent
	}
}

func makePlan(d chosen, x sight, c messages.Command, seen plan.Seen) plan.Plan {
	return plan.Make(x.state, runner.NewRequest("plan", c, d.manifest), seen)
}
