package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

const importLong = `Take over what another tool made: FILE is a bosh-deployments.yml of ` + "`bosh micro'" + `
(the one beside the manifest when none is named) or a state.json of
` + "`bosh create-env'" + `. The resources stay as they are; they get this deployment's
tags, so that it may update and delete them.

A VM or a stemcell that the cloud does not have any more is left out. A disk
that it does not have ends the import.`

func (a *app) stateImportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import [FILE]",
		Short: "take over what `bosh micro' or `bosh create-env' made",
		Long:  importLong,
		Args:  usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.stateImport(ctx, strings.Join(args, ""))
		},
	}
}

func (a *app) stateImport(ctx context.Context, path string) error {
	d, err := a.load("No deployment set")
	if err != nil {
		return err
	}
	if path == "" {
		path = statefile.ProjectionPath(d.choice.Deployment)
	}
	what, err := statefile.ReadImport(path, d.manifest.Name)
	if err != nil {
		return err
	}
	a.ui.Say("%s names\n%s", path, importText(what))
	if err := a.confirm(ctx, "Importing "+d.manifest.Name, "Import canceled"); err != nil {
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
	if err := known(x); err != nil {
		return err
	}
	return a.takeOver(ctx, s, d, what)
}

// importText lists what is taken over.
func importText(i messages.Import) string {
	var lines []string
	for _, row := range [][2]string{{"stemcell", i.StemcellCID}, {"VM", i.VMCID}, {"persistent disk", i.DiskCID}} {
		if row[1] != "" {
			lines = append(lines, "  "+row[0]+" "+row[1])
		}
	}
	return strings.Join(lines, "\n")
}
