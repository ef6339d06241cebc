package cli

import (
	"context"
	"path/filepath"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/service"
)

func (a *app) serveCommand() *cobra.Command {
	var slots int
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "run the orchestrator service on a bus",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if a.bus == "" || a.keys == "" {
				return usage("serve needs --bus and --keys")
			}
			return daemonResult(daemon.Main("orchestrator", func(ctx context.Context, log zerolog.Logger) error {
				return a.serve(ctx, slots, log)
			}))
		},
	}
	cmd.Flags().IntVar(&slots, "slots", 0, "how many runs to work on at once (0 = the default)")
	return cmd
}

func (a *app) serve(ctx context.Context, slots int, log zerolog.Logger) error {
	ring, err := seal.OpenRing(a.keys, messages.RoleOrchestrator)
	if err != nil {
		return err
	}
	conn, err := bus.Connect(ctx, bus.Options{
		URL: a.bus, Name: daemon.Source(messages.ServiceOrchestrator),
		SeedFile:    filepath.Join(a.keys, messages.RoleOrchestrator+".nk"),
		InboxPrefix: messages.InboxPrefix(messages.RoleOrchestrator), Log: log,
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	return service.Run(ctx, service.Options{Conn: conn, Ring: ring, Keys: a.keys, Version: semver(), Slots: slots, Log: log})
}

// daemonResult hands a program's exit code on; it has said itself what failed.
func daemonResult(code int) error {
	if code == exitOK {
		return nil
	}
	return exitError(code)
}
