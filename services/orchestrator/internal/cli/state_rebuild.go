package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

const rebuildLong = `Write the state file and the folder's identity anew from the journal. When the
journal knows nothing of the deployment, because the bus's store was lost, look
for its resources by their tags in the cloud and take them over.

Where the cloud holds more than one candidate nothing is guessed: all are listed,
and --uid, --vm, --disk and --stemcell choose.`

// rebuildFlags name what to take of several candidates.
type rebuildFlags struct{ uid, vm, disk, stemcell string }

func (a *app) stateRebuildCommand() *cobra.Command {
	var f rebuildFlags
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "rebuild lost state from the journal, or from the tags in the cloud",
		Long:  rebuildLong,
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.stateRebuild(ctx, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.uid, "uid", "", "uid of the deployment to take, of several with the name")
	flags.StringVar(&f.vm, "vm", "", "CID of the VM to take, of several")
	flags.StringVar(&f.disk, "disk", "", "CID of the persistent disk to take, of several")
	flags.StringVar(&f.stemcell, "stemcell", "", "CID of the stemcell to take, of several")
	return cmd
}

func (a *app) stateRebuild(ctx context.Context, f rebuildFlags) error {
	d, err := a.load("No deployment set")
	if err != nil {
		return err
	}
	s, err := a.open(ctx, folder(d.choice.Deployment), false)
	if err != nil {
		return err
	}
	defer s.close()
	x, err := look(ctx, s, d.manifest.Name)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	if x.state.UID != "" && (x.state.Exists() || known(x) != nil) {
		return a.rebuildFromJournal(ctx, d, x)
	}
	var found messages.FindReply
	if err := s.ask(ctx, d.manifest, messages.SvcFind, messages.FindArgs{Deployment: d.manifest.Name}, &found); err != nil {
		return interruptedOr(ctx, err)
	}
	what, err := f.choose(d.manifest.Name, found.Resources)
	if err != nil {
		return err
	}
	a.ui.Say("The journal knows nothing of `%s'. By their tags (uid %s) these are its:\n%s", d.manifest.Name, what.From, importText(what))
	if err := a.confirm(ctx, "Taking over "+d.manifest.Name, "Rebuild canceled"); err != nil {
		return err
	}
	return a.takeOver(ctx, s, d, what)
}

func (a *app) rebuildFromJournal(ctx context.Context, d chosen, x sight) error {
	ids := statefile.NewIdentities(folder(d.choice.Deployment))
	uid, err := ids.Get(d.manifest.Name)
	if err != nil || uid != x.state.UID {
		a.ui.Say("The journal knows `%s' under the uid %s, this folder under %s", d.manifest.Name, x.state.UID, orNothing(uid))
		if err := a.confirm(ctx, "Making this folder the deployment's", "Rebuild canceled"); err != nil {
			return err
		}
		if err := ids.Put(d.manifest.Name, x.state.UID); err != nil {
			return err
		}
	}
	if err := statefile.Restore(d.choice.Deployment, x.state.Snapshot); err != nil {
		return err
	}
	path := statefile.ProjectionPath(d.choice.Deployment)
	a.ui.Result(fmt.Sprintf("Rebuilt %s from the journal", path), stateReply{State: x.state.Snapshot, File: path, Agree: true})
	return nil
}

// choose takes the one candidate of each kind, and refuses to guess between two.
func (f rebuildFlags) choose(name string, all []messages.Resource) (messages.Import, error) {
	byUID := map[string][]messages.Resource{}
	for _, r := range all {
		if uid, _, _, err := messages.ParseStepID(r.Step); err == nil && (f.uid == "" || uid == f.uid) {
			byUID[uid] = append(byUID[uid], r)
		}
	}
	switch len(byUID) {
	case 0:
		return messages.Import{}, messages.Errorf(messages.CodeNoDeployment, "neither the journal nor the cloud knows anything of `%s'", name).
			WithHint("see that the manifest's name, project and region are those it was deployed with; what another tool made is taken over with `microbosh state import`")
	case 1:
	default:
		return messages.Import{}, several("the cloud holds resources of several deployments named `"+name+"'", "--uid", all)
	}
	out := messages.Import{}
	for uid, mine := range byUID {
		out.From = uid
		for _, k := range []struct {
			kind, flag, chosen string
			cid                *string
		}{
			{messages.KindVM, "--vm", f.vm, &out.VMCID}, {messages.KindDisk, "--disk", f.disk, &out.DiskCID},
			{messages.KindStemcell, "--stemcell", f.stemcell, &out.StemcellCID},
		} {
			candidates := slices.DeleteFunc(slices.Clone(mine), func(r messages.Resource) bool {
				return r.Kind != k.kind || (k.chosen != "" && r.CID != k.chosen)
			})
			switch {
			case len(candidates) > 1:
				return messages.Import{}, several(fmt.Sprintf("the cloud holds several %ss of `%s'", k.kind, name), k.flag, candidates)
			case len(candidates) == 1:
				*k.cid = candidates[0].CID
				if k.kind == messages.KindStemcell {
					out.StemcellName = candidates[0].Name
				}
			case k.chosen != "":
				return messages.Import{}, messages.Errorf(messages.CodeCloudNotFound, "the cloud has no %s %s of `%s'", k.kind, k.chosen, name)
			}
		}
	}
	return out, nil
}

func several(what, flag string, candidates []messages.Resource) error {
	lines := make([]string, 0, len(candidates))
	for _, r := range candidates {
		lines = append(lines, fmt.Sprintf("%s %s (%s, %s, made by %s)", r.Kind, r.CID, r.Name, r.Status, r.Step))
	}
	return messages.Errorf(messages.CodeStateInvalid, "%s, and nothing says which one is meant: %s", what, strings.Join(lines, "; ")).
		WithHint("look at them in the cloud, then say which with %s; the rest stays and is listed by `microbosh doctor`", flag)
}
