package cli

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/plane"
)

const initLong = `Make the identities of a control plane that stays: for every role an nkey, a
certificate and, where something is sealed to it, a curve key; two certificate
authorities; and the configuration of its nats-servers.

Nothing that is there is changed: run it again after a failure. Each role's
programs get the folder of that name as --keys, and nothing else.`

func (a *app) initCommand() *cobra.Command {
	var about plane.About
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "make the identities of a control plane",
		Long:  initLong,
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			p, made, err := plane.Init(args[0], about)
			if err != nil {
				return err
			}
			word := "Made"
			if !made {
				word = "Nothing is missing from"
			}
			a.ui.Result(fmt.Sprintf("%s the control plane in %s\n  bus      %s\n  keys     %s, one folder for each role\n  config   %s\nKeep %s on another machine: who has it can make certificates.",
				word, args[0], p.URL(), args[0], p.Config(0), filepath.Join(args[0], "ca")),
				map[string]any{"made": made, "bus": p.URL(), "config": p.Config(0), "keys": p.Keys(messages.RoleCLI)})
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&about.Nodes, "bus-host", nil, "host that a nats-server runs on; three for a cluster")
	flags.IntVar(&about.Port, "bus-port", 0, "port of the bus (default 4222)")
	flags.StringVar(&about.Registry, "registry", "", "URL at which VMs reach the registry")
	flags.StringVar(&about.Store, "store", "/var/lib/microbosh/bus", "folder of the bus's streams, on each host")
	return cmd
}

func (a *app) provisionCommand() *cobra.Command {
	var replicas int
	cmd := &cobra.Command{
		Use:   "provision",
		Short: "make the streams on a bus, with the admin's keys",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			if a.bus == "" || a.keys == "" {
				return usage("provision needs --bus and --keys")
			}
			conn, err := bus.Connect(ctx, bus.Options{
				URL: a.bus, Name: "microbosh provision", Wait: max(a.wait, time.Minute), SeedFile: filepath.Join(a.keys, messages.RoleAdmin+".nk"),
				InboxPrefix: messages.InboxPrefix(messages.RoleAdmin),
			})
			if err != nil {
				return interruptedOr(ctx, err)
			}
			defer conn.Close()
			if err := conn.Provision(ctx, replicas); err != nil {
				return interruptedOr(ctx, err)
			}
			a.ui.Result("The streams are there", map[string]int{"replicas": replicas})
			return nil
		},
	}
	cmd.Flags().IntVar(&replicas, "replicas", 1, "copies of each stream: 3 on a cluster of three")
	return cmd
}
