package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
	"github.com/microbosh/microbosh/services/orchestrator/internal/stack"
)

func (a *app) stemcellCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stemcell",
		Short: "build stemcells",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var output string
	build := &cobra.Command{
		Use:   "build",
		Short: "build the dev stemcell from the programs beside this one",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(*cobra.Command, []string) error { return a.buildStemcell(output) },
	}
	build.Flags().StringVarP(&output, "output", "o", "microbosh-openstack-dev.tgz", "file to write")
	cmd.AddCommand(build)
	return cmd
}

func (a *app) buildStemcell(output string) error {
	dir, err := stack.Programs()
	if err != nil {
		return err
	}
	programs := make([]string, 0, 3)
	for _, name := range []string{"microbosh", "microbosh-registry", "microbosh-cpi-openstack"} {
		programs = append(programs, filepath.Join(dir, name))
	}
	agent := filepath.Join(dir, "microbosh-agent")
	for _, p := range append([]string{agent}, programs...) {
		if _, err := os.Stat(p); err != nil {
			return messages.Errorf(messages.CodeStemcellMissing, "cannot build the stemcell: %w", err).
				WithHint("`make build` puts all programs into bin/")
		}
	}
	path, err := filepath.Abs(output)
	if err != nil {
		return messages.Errorf(messages.CodeUsage, "cannot name the stemcell: %w", err)
	}
	if err := stemcell.BuildDev(stemcell.DevOptions{Output: path, Version: semver(), Agent: agent, Programs: programs}); err != nil {
		return err
	}
	a.ui.Result(fmt.Sprintf("Built %s", path), map[string]string{"path": path, "version": semver()})
	return nil
}
