package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/pkg/stemcell"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// deployFlags are deploy's own.
type deployFlags struct {
	update         bool
	updateIfExists bool
	recreate       bool
	adopt          bool
	detach         bool
}

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
	d, err := a.load("No deployment set")
	if err != nil {
		return err
	}
	name := d.manifest.Name
	if arg == "" {
		if arg, _ = d.manifest.Resources.CloudProperties["image_id"].(string); arg == "" {
			return messages.Errorf(messages.CodeStemcellMissing, "No stemcell provided").
				WithHint("name a stemcell .tgz or an image id, or set resources.cloud_properties.image_id in the manifest")
		}
	}
	s, err := a.open(ctx, folder(d.choice.Deployment), false)
	if err != nil {
		return err
	}
	defer s.close()
	if f.detach && s.alone() {
		return messages.Errorf(messages.CodeUsage, "--detach needs a control plane that stays").
			WithHint("run `microbosh dev`, or name a bus with --bus")
	}
	log, err := journal.New(s.conn, "").Load(ctx, name)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	verb, action, err := a.verb(d, log.State, f)
	if err != nil {
		return err
	}
	desc := a.describe(d, log.State)
	if err := a.confirm(ctx, action+" "+desc, "Deployment canceled"); err != nil {
		return err
	}
	command, err := a.deployRequest(ctx, s, d, verb, arg, f)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	ids := statefile.NewIdentities(folder(d.choice.Deployment))
	uid, err := identify(ctx, s, ids, name, log.State, f.adopt)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	done, err := a.run(ctx, s, d, request{deployment: name, uid: uid, command: command}, f.detach)
	if err != nil || done == nil {
		return err
	}
	if err := a.outcome(*done); err != nil {
		return err
	}
	took := time.Duration(done.Millis) * time.Millisecond
	if took <= 0 {
		took = time.Since(began)
	}
	a.ui.Result(fmt.Sprintf("Deployed %s, took %s to complete", desc, ui.Clock(took)), result{
		Deployment: name, Outcome: done.Outcome, Millis: took.Milliseconds(),
	})
	return nil
}

// result is what a program reads at the end of a run.
type result struct {
	Deployment string           `json:"deployment"`
	Outcome    messages.Outcome `json:"outcome"`
	Millis     int64            `json:"millis"`
}

// verb decides between create and update, with BOSH's checks in BOSH's order. A
// create that never finished is gone on with.
func (a *app) verb(d chosen, s workflow.State, f deployFlags) (messages.Verb, string, error) {
	wantsUpdate := f.update || f.updateIfExists || f.recreate
	if s.Exists() || s.Run != nil {
		switch {
		case s.Run != nil && s.Run.Verb == messages.VerbCreate && f.updateIfExists && !f.update:
			// The same command, given again while its create is under way.
			return messages.VerbCreate, "Going on deploying micro BOSH instance", nil
		case wantsUpdate:
			return messages.VerbUpdate, "Updating", nil
		case s.ConfigSHA1 != "":
			return "", "", messages.Errorf(messages.CodeInstanceExists, "Instance exists. Did you mean to --update?")
		default:
			return messages.VerbCreate, "Going on deploying micro BOSH instance", nil
		}
	}
	if err := statefile.CheckForgotten(d.choice.Deployment, s.Snapshot); err != nil {
		return "", "", err
	}
	if f.update || f.recreate && !f.updateIfExists {
		return "", "", messages.Errorf(messages.CodeNoDeployment, "No existing instance to update")
	}
	if !d.manifest.Resources.HasPersistentDisk {
		return "", "", messages.Errorf(messages.CodeManifestInvalid, "No persistent disk configured in micro_bosh.yml").
			WithHint("set resources.persistent_disk to a size in MiB")
	}
	return messages.VerbCreate, "Deploying new micro BOSH instance", nil
}

// deployRequest reads and verifies what the request carries and seals its
// secrets to the orchestrator.
func (a *app) deployRequest(ctx context.Context, s *session, d chosen, verb messages.Verb, arg string, f deployFlags) (messages.Command, error) {
	ref, applySpec, err := a.openStemcell(arg)
	if err != nil {
		return messages.Command{}, err
	}
	public, secrets, err := d.manifest.Split()
	if err != nil {
		return messages.Command{}, err
	}
	sealed, err := sealTo(s.keys, messages.CommandSecrets{Manifest: secrets, ApplySpec: applySpec})
	if err != nil {
		return messages.Command{}, err
	}
	return messages.Command{
		Verb: verb, RequestedBy: requester(), Adopt: f.adopt, Recreate: f.recreate,
		Manifest: public, ConfigSHA1: d.manifest.ConfigSHA1(), Stemcell: ref, Secrets: sealed,
	}, ctx.Err()
}

func (a *app) openStemcell(arg string) (*messages.StemcellRef, json.RawMessage, error) {
	if filepath.Ext(arg) != ".tgz" {
		return &messages.StemcellRef{CID: arg}, nil, nil
	}
	a.ui.Say("Verifying stemcell...")
	path, err := filepath.Abs(arg)
	if err != nil {
		return nil, nil, messages.Errorf(messages.CodeStemcellInvalid, "cannot name the stemcell: %w", err)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, nil, messages.Errorf(messages.CodeStemcellMissing, "Cannot find stemcell file `%s'", path)
	}
	sc, err := stemcell.Open(path)
	if err != nil {
		e := messages.AsError(err)
		if e.Hint == "" {
			e = e.WithHint("Stemcell is invalid, please fix, verify and upload again")
		}
		return nil, nil, e
	}
	properties, err := json.Marshal(sc.CloudProperties)
	if err != nil {
		return nil, nil, messages.Errorf(messages.CodeStemcellInvalid, "cannot read the cloud properties of the stemcell: %w", err)
	}
	return &messages.StemcellRef{
		Path: path, Host: daemon.HostID(), Size: sc.Size, Name: sc.Name, Version: sc.Version,
		APIVersion: sc.APIVersion, SHA1: sc.SHA1, CloudProperties: properties,
	}, sc.ApplySpec, nil
}

func sealTo(keys string, v any) (*messages.Sealed, error) {
	to, err := seal.PublicKey(keys, messages.RoleOrchestrator)
	if err != nil {
		return nil, err
	}
	ring, err := seal.Ephemeral()
	if err != nil {
		return nil, err
	}
	return ring.Seal(to, v)
}

// identify gives the uid that a request carries: the one on disk, unless its
// deployment was deleted since; then, and at first, a new one.
func identify(ctx context.Context, s *session, ids *statefile.Identities, name string, state workflow.State, adopt bool) (string, error) {
	uid, err := ids.Get(name)
	if err != nil {
		return "", err
	}
	switch {
	case state.UID != "" && (adopt || uid == ""):
		if !adopt {
			return "", messages.Errorf(messages.CodeUIDMismatch, "the bus knows a deployment `%s' that was not made from this folder", name).
				WithHint("restore .microbosh from where it was made, or say --adopt when it is meant")
		}
		return state.UID, ids.Put(name, state.UID)
	case state.UID != "":
		return uid, nil // the orchestrator refuses another deployment's
	case uid == "":
		return ids.Mint(name)
	case len(state.FinishedRuns) == 0:
		return uid, nil // a first request that nobody has begun to work on
	}
	// The deployment is gone; a request of a new one may wait already.
	waiting, err := s.conn.Last(ctx, messages.StreamCommand, messages.CommandSubject(name))
	if err != nil && !errors.Is(err, bus.ErrNone) {
		return "", err
	}
	if envelope, decodeErr := messages.Decode(waiting.Data, nil); err == nil && decodeErr == nil && envelope.DeploymentUID == uid {
		return uid, nil
	}
	return ids.Mint(name)
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
