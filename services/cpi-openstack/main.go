// Command microbosh-cpi-openstack executes step commands on an OpenStack.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/openstack"
)

const program = "microbosh-cpi-openstack"

func main() {
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	url := flags.String("bus", "", "`URL` of the bus, nats://host:port")
	keys := flags.String("keys", "", "`folder` with cpi.nk, cpi.xk (made when missing), registry.xpub and registry.http")
	slots := flags.Int("slots", cpi.DefaultSlots, "step commands at a `time`")
	settle := flags.Duration("settle", cpi.DefaultSettle, "how `long` a create whose answer was lost may take to show in listings")
	if err := flags.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}
	if flags.NArg() > 0 || *url == "" || *keys == "" || *slots < 1 || *settle <= 0 {
		fmt.Fprintln(os.Stderr, program+": --bus and --keys are needed, --slots and --settle are above 0, and there is nothing beside the flags")
		flags.Usage()
		os.Exit(2)
	}
	os.Exit(daemon.Main(program, func(ctx context.Context, log zerolog.Logger) error {
		return run(ctx, log, *url, *keys, *slots, *settle)
	}))
}

func run(ctx context.Context, log zerolog.Logger, url, keys string, slots int, settle time.Duration) error {
	ring, err := seal.OpenRing(keys, messages.RoleCPI)
	if err != nil {
		return err
	}
	conn, err := bus.Connect(ctx, bus.Options{
		URL: url, Name: daemon.Source(program), Log: log,
		SeedFile: filepath.Join(keys, messages.RoleCPI+".nk"), InboxPrefix: messages.InboxPrefix(messages.RoleCPI),
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	cloud := openstack.New(openstack.Options{Bus: conn, Ring: ring, Keys: keys})
	return cpi.Run(ctx, cpi.Options{
		Conn: conn, Ring: ring, Cloud: openstack.Name, Slots: slots, Settle: settle, Log: log,
		Methods: cloud.Methods(), Queries: cloud.Queries(), Info: openstack.Info(),
		Ready: func() {
			log.Info().Str("cloud", openstack.Name).Int("slots", slots).Msg("taking step commands")
			if err := daemon.Ready(); err != nil {
				log.Warn().Err(err).Msg("whoever started this program was not told that it serves")
			}
		},
	})
}
