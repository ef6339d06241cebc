package cli

import (
	"context"
	"path/filepath"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/services/orchestrator/internal/director"
	"github.com/microbosh/microbosh/services/orchestrator/internal/stack"
)

// directorFlags are director's own.
type directorFlags struct {
	spec, data string
	onlyInfo   bool
}

func (a *app) directorCommand() *cobra.Command {
	var f directorFlags
	cmd := &cobra.Command{
		Use:   "director --data DIR",
		Short: "be the micro BOSH: the job inside the deployed VM",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if f.data == "" {
				return usage("director needs --data")
			}
			return daemonResult(daemon.Main("director", func(ctx context.Context, log zerolog.Logger) error {
				return runDirector(ctx, f, log)
			}))
		},
	}
	cmd.Flags().StringVar(&f.spec, "spec", "", "apply spec with properties.director.{address,port,name}")
	cmd.Flags().StringVar(&f.data, "data", "", "folder for identity, certificate and state")
	cmd.Flags().BoolVar(&f.onlyInfo, "only-info", false, "only answer /info, run no services")
	return cmd
}

// runDirector answers for a micro BOSH and runs its services, which know
// nothing of the bus that deployed them.
func runDirector(ctx context.Context, f directorFlags, log zerolog.Logger) error {
	spec, err := director.ReadSpec(f.spec)
	if err != nil {
		return err
	}
	if !f.onlyInfo {
		st, err := stack.Start(ctx, stack.Options{Dir: filepath.Join(f.data, "services"), Host: spec.Address, Log: log})
		if err != nil {
			return err
		}
		defer st.Stop()
		log.Info().Str("bus", st.URL()).Msg("the services run")
	}
	d, err := director.New(director.Options{Spec: spec, Data: f.data, Version: semver(), Ready: daemon.Ready, Log: log})
	if err != nil {
		return err
	}
	return d.Run(ctx)
}
