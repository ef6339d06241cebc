package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/doctor"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

const doctorLong = `Look at everything that a deploy needs and say what is not as it should be,
each with its fix: the bus, its streams and services, clocks, certificates, what
the cloud would refuse (credentials, quota, flavor, image, network), and what
bears the tags of the deployment in the cloud and is no part of it.

Nothing is changed, unless --delete-orphans is said and confirmed. Only what the
journal knows not to be needed any more is deleted then.

Exit codes: 0 nothing found, 10 something found, 4 the bus does not answer.`

func (a *app) doctorCommand() *cobra.Command {
	var orphans, adopt bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "look for what is wrong with bus, cloud and deployment",
		Long:  doctorLong,
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.doctor(ctx, orphans, adopt)
		},
	}
	cmd.Flags().BoolVar(&orphans, "delete-orphans", false, "delete what the deployment left in the cloud, after a question")
	cmd.Flags().BoolVar(&adopt, "adopt", false, "with --delete-orphans, of a deployment that was made from elsewhere")
	return cmd
}

func (a *app) doctor(ctx context.Context, orphans, adopt bool) error {
	d, err := a.patient(orphans)
	if err != nil {
		return err
	}
	report, err := a.examine(ctx, d)
	if err == nil && orphans && len(report.Orphans) > 0 {
		done, sweepErr := a.sweep(ctx, *d, report.Orphans, adopt)
		if sweepErr != nil {
			return sweepErr
		}
		if done {
			report, err = a.examine(ctx, d)
		}
	}
	if ctx.Err() != nil {
		return interruptedOr(ctx, err)
	}
	a.ui.Result(report.Text(), report)
	switch {
	case err != nil:
		return exitError(exitCode(err))
	case report.Found() > 0:
		return exitError(exitChanges)
	default:
		return nil
	}
}

// patient is the chosen deployment; nil when only a bus is to be looked at.
func (a *app) patient(needed bool) (*chosen, error) {
	if a.bus != "" && !needed {
		if c, err := a.choice(); err == nil && c.Deployment == "" {
			return nil, nil //nolint:nilnil // a bus can be looked at without one
		}
	}
	d, err := a.load("No deployment set")
	return &d, err
}

// examine looks at everything. An error says that there was no bus to look at,
// which the report tells, too.
func (a *app) examine(ctx context.Context, d *chosen) (doctor.Report, error) {
	report := doctor.Report{Checks: []doctor.Check{}}
	dir, forget, err := a.examRoom(d)
	if err != nil {
		return report, err
	}
	defer forget()
	s, err := a.openAsking(ctx, dir)
	if err != nil {
		report.Add(doctor.Failed("bus", err))
		return report, err
	}
	defer s.close()
	e := exam{app: a, s: s, d: d, report: &report}
	err = e.run(ctx)
	return report, err
}

// examRoom is the state folder to look from. Where nothing was deployed yet it
// is a passing one: looking makes no folder beside a manifest.
func (a *app) examRoom(d *chosen) (dir string, forget func(), err error) {
	if a.bus != "" {
		return "", func() {}, nil
	}
	if dir = folder(d.choice.Deployment); exists(dir) {
		return dir, func() {}, nil
	}
	if dir, err = os.MkdirTemp("", "microbosh-doctor-"); err != nil {
		return "", nil, fmt.Errorf("cannot make a folder to look from: %w", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// sweep deletes orphans by a run of their deployment; false when the person does
// not want it.
func (a *app) sweep(ctx context.Context, d chosen, orphans []messages.Resource, adopt bool) (bool, error) {
	a.ui.Say("These are no part of `%s' any more:", d.manifest.Name)
	for _, r := range orphans {
		a.ui.Say("  %s %s (step %s)", r.Kind, r.CID, r.Step)
	}
	if !a.yes {
		yes, err := a.ui.Confirm(ctx, "Delete them, and what is on them?")
		if err != nil || !yes {
			return false, err
		}
	}
	name := d.manifest.Name
	s, err := a.open(ctx, folder(d.choice.Deployment), false)
	if err != nil {
		return false, err
	}
	defer s.close()
	w, err := openWatch(ctx, s, name)
	if err != nil {
		return false, interruptedOr(ctx, err)
	}
	defer w.stop()
	x, err := look(ctx, s, name)
	if err != nil {
		return false, interruptedOr(ctx, err)
	}
	command, err := plainRequest(s, d, messages.VerbSweep, adopt)
	if err != nil {
		return false, err
	}
	command.Orphans = orphans
	ids := statefile.NewIdentities(folder(d.choice.Deployment))
	uid, err := identify(ids, name, x, adopt)
	if err != nil {
		return false, err
	}
	t, err := a.submit(ctx, s, request{deployment: name, uid: uid, command: command})
	if err != nil {
		return false, interruptedOr(ctx, err)
	}
	done, err := a.attend(ctx, s, d, w, t, false)
	if err != nil {
		return false, err
	}
	if err := a.outcome(*done, w.state.Snapshot, ""); err != nil {
		return false, err
	}
	if w.state.UID == "" {
		return true, ids.Forget(name)
	}
	return true, nil
}
