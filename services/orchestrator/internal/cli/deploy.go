package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// deployFlags are deploy's own. What they leave open is decided by whether an
// instance exists.
type deployFlags struct {
	update         bool
	updateIfExists bool
	recreate       bool
	adopt          bool
	detach         bool
}

func (f deployFlags) mayCreate() bool { return !f.update && (!f.recreate || f.updateIfExists) }
func (f deployFlags) mayUpdate() bool { return f.update || f.updateIfExists || f.recreate }

func (a *app) deployCommand() *cobra.Command {
	var f deployFlags
	cmd := &cobra.Command{
		Use:   "deploy [STEMCELL]",
		Short: "deploy or update a micro BOSH from a stemcell (.tgz or an image id)",
		Args:  usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.deploy(ctx, strings.Join(args, ""), f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.update, "update", false, "update the existing instance")
	flags.BoolVar(&f.updateIfExists, "update-if-exists", false, "create, or update when an instance exists")
	flags.BoolVar(&f.recreate, "recreate", false, "update also when nothing changed")
	flags.BoolVar(&f.adopt, "adopt", false, "take over a deployment of that name that was made from elsewhere")
	flags.BoolVar(&f.detach, "detach", false, "return once the request is on the bus")
	return cmd
}

func (a *app) deploy(ctx context.Context, arg string, f deployFlags) error {
	began := time.Now()
	d, err := a.loadAnew("No deployment set")
	if err != nil {
		return err
	}
	name := d.manifest.Name
	if arg, err = stemcellOf(d, arg); err != nil {
		return err
	}
	if a.bus == "" && !exists(folder(d.choice.Deployment)) { // what is refused leaves nothing behind
		if _, _, err := a.verb(d, workflow.State{Snapshot: messages.Snapshot{Deployment: name}}, f); err != nil {
			return err
		}
	}
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
	x, err := lookWith(ctx, s, d)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	verb, action, err := a.verb(d, x.state, f)
	if err != nil {
		return err
	}
	a.warnNoDisk(d)
	desc := a.describe(d, x.state)
	var load stemcellLoad
	if x.state.Exists() && !a.yes { // what would be lost is shown before the question
		if load, err = a.openStemcell(ctx, arg); err != nil {
			return err
		}
		a.warn(ctx, s, d, x, messages.Command{Verb: verb, Recreate: f.recreate, ConfigSHA1: x.config, Stemcell: load.ref})
	}
	if err := a.confirm(ctx, action+" "+desc, "Deployment canceled"); err != nil {
		return err
	}
	if load.ref == nil {
		if load, err = a.openStemcell(ctx, arg); err != nil {
			return err
		}
	}
	command, err := deployRequest(s, d, x, verb, load, f)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	ids := statefile.NewIdentities(folder(d.choice.Deployment))
	uid, err := identify(ids, name, x, f.adopt)
	if err != nil {
		return err
	}
	var t ticket
	if x.sameDeploy(command, uid, f) {
		t = a.attach(x.ticket)
	} else if err := a.transfer(ctx, s, d, x, load); err != nil {
		return err
	} else if t, err = a.submit(ctx, s, request{deployment: name, uid: uid, command: command}); err != nil {
		return interruptedOr(ctx, err)
	}
	given, err := a.given()
	if err == nil {
		err = statefile.WriteGiven(d.choice.Deployment, given)
	}
	if err != nil { // the deploy goes on; other verbs have to be told again
		a.ui.Say("microbosh: %v", err)
	}
	done, err := a.attend(ctx, s, d, w, t, f.detach)
	if err != nil || done == nil {
		return err
	}
	if err := a.outcome(*done, w.state.Snapshot, "microbosh deploy "+arg+deployWords(verb, f.recreate)); err != nil {
		return err
	}
	took := time.Duration(done.Millis) * time.Millisecond
	if took <= 0 {
		took = time.Since(began)
	}
	a.ui.Result(fmt.Sprintf("Deployed %s, took %s to complete", desc, ui.Clock(took)), result{
		Deployment: name, Run: t.run, Verb: t.verb, Outcome: done.Outcome, Millis: took.Milliseconds(),
	})
	return nil
}

// stemcellOf is the stemcell that was named, else the manifest's.
func stemcellOf(d chosen, arg string) (string, error) {
	if arg == "" {
		arg, _ = d.manifest.Resources.CloudProperties["image_id"].(string)
	}
	if arg == "" {
		return "", messages.Errorf(messages.CodeStemcellMissing, "No stemcell provided").
			WithHint("name a stemcell .tgz or an image id, or set resources.cloud_properties.image_id in the manifest")
	}
	const words = "name a stemcell .tgz, its URL, or the id of an image that the cloud has"
	switch file := filepath.Ext(arg) == ".tgz"; {
	case stemcell.IsURL(arg):
	case file && !exists(arg):
		path, err := filepath.Abs(arg)
		if err != nil {
			path = arg
		}
		return "", messages.Errorf(messages.CodeStemcellMissing, "Cannot find stemcell file `%s'", path).WithHint(words)
	case !file && exists(arg):
		return "", messages.Errorf(messages.CodeStemcellInvalid, "%s is no stemcell: its name does not end in .tgz", arg).WithHint(words)
	}
	return arg, nil
}

// result is what a program reads at the end of a run.
type result struct {
	Deployment string           `json:"deployment"`
	Run        string           `json:"run"`
	Verb       messages.Verb    `json:"verb"`
	Outcome    messages.Outcome `json:"outcome"`
	Millis     int64            `json:"millis"`
}

// verb decides between create and update, with BOSH's checks in BOSH's order. A
// create that never finished is gone on with.
func (a *app) verb(d chosen, s workflow.State, f deployFlags) (messages.Verb, string, error) {
	const goesOn = "Going on deploying micro BOSH instance"
	switch {
	case s.Run != nil && s.Run.Verb == messages.VerbCreate && f.mayCreate():
		return messages.VerbCreate, goesOn, nil
	case (s.Exists() || s.Run != nil) && f.mayUpdate():
		return messages.VerbUpdate, "Updating", nil
	case (s.Exists() || s.Run != nil) && s.ConfigSHA1 != "":
		return "", "", messages.Errorf(messages.CodeInstanceExists, "Instance exists. Did you mean to --update?")
	case s.Exists() || s.Run != nil:
		return messages.VerbCreate, goesOn, nil
	}
	if err := statefile.CheckForgotten(d.choice.Deployment, s.Snapshot); err != nil {
		return "", "", err
	}
	if !f.mayCreate() {
		return "", "", messages.Errorf(messages.CodeNoDeployment, "No existing instance to update")
	}
	if !d.manifest.Resources.HasPersistentDisk {
		return "", "", messages.Errorf(messages.CodeManifestInvalid, "No persistent disk configured in micro_bosh.yml").
			WithHint("set resources.persistent_disk to a size in MiB")
	}
	return messages.VerbCreate, "Deploying new micro BOSH instance", nil
}

// warnNoDisk says what it means to ask for no persistent disk.
func (a *app) warnNoDisk(d chosen) {
	if r := d.manifest.Resources; r.HasPersistentDisk && r.PersistentDisk == 0 {
		a.ui.Say("microbosh: resources.persistent_disk is 0: what the jobs keep is lost with the VM")
	}
}

// warn shows what an update would destroy, and what of it stays.
func (a *app) warn(ctx context.Context, s *session, d chosen, x sight, c messages.Command) {
	seen, err := a.see(ctx, s, d, x.state.Snapshot)
	if err != nil { // the deploy itself will say what is wrong; here it only tells less
		a.ui.Say("microbosh: %v", err)
	}
	p := makePlan(d, x, c, seen)
	if p.Destroys() {
		a.ui.Say("%s\n%s", p.Reason, p.Losses())
	}
}

// deployRequest is the request with its secrets sealed to the orchestrator.
func deployRequest(s *session, d chosen, x sight, verb messages.Verb, load stemcellLoad, f deployFlags) (messages.Command, error) {
	public, secrets, err := d.manifest.Split()
	if err != nil {
		return messages.Command{}, err
	}
	key, err := tunnelKey(d)
	if err != nil {
		return messages.Command{}, err
	}
	sealed, err := sealTo(s.keys, messages.CommandSecrets{Manifest: secrets, ApplySpec: load.spec, TunnelKey: key})
	if err != nil {
		return messages.Command{}, err
	}
	return messages.Command{
		Verb: verb, RequestedBy: requester(), Adopt: f.adopt, Recreate: f.recreate,
		Manifest: public, ConfigSHA1: x.config, Stemcell: load.ref, Secrets: sealed,
	}, nil
}

// describe is BOSH's `MANIFEST' to `TARGET'.
func (a *app) describe(d chosen, s workflow.State) string {
	path := d.choice.Deployment
	if cwd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(cwd, path); err == nil && !strings.HasPrefix(rel, "..") {
			path = rel
		}
	}
	target := d.choice.TargetName
	switch {
	case s.Target != nil && s.Target.Name != "":
		target = s.Target.Name
	case target == "":
		target = a.knownTarget(path, d.manifest)
	}
	if target == "" {
		target = d.manifest.Cloud.Plugin
	}
	return fmt.Sprintf("`%s' to `%s'", path, target)
}

// confirm asks unless --yes; refusal is an error with that text.
func (a *app) confirm(ctx context.Context, question, refused string) error {
	if a.yes {
		return nil
	}
	yes, err := a.ui.Confirm(ctx, question)
	if err != nil {
		return err
	}
	if !yes {
		return errors.New(refused)
	}
	return nil
}
