package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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

// options are the program's flags.
type options struct {
	bus      string
	keys     string
	slots    int
	settle   time.Duration
	registry string
	queries  bool
}

// parse reads the flags. What the flag package itself finds wrong it tells on
// out, with the usage.
func parse(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&o.bus, "bus", "", "`URL` of the bus, nats://host:port")
	flags.StringVar(&o.keys, "keys", "", "`folder` with cpi.nk, cpi.xk (made when missing), registry.xpub and registry.http")
	flags.IntVar(&o.slots, "slots", cpi.DefaultSlots, "`number` of step commands at a time")
	flags.DurationVar(&o.settle, "settle", cpi.DefaultSettle, "how `long` a create whose answer was lost may take to show in listings")
	flags.StringVar(&o.registry, "registry-endpoint-file", "", "JSON `file` with the registry's url (default registry.json beside the keys folder)")
	flags.BoolVar(&o.queries, "only-queries", false, "answer what is asked about the cloud, take no step commands")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag; --help shows which there are", flags.Arg(0))
	case o.bus == "" || o.keys == "":
		return o, errors.New("--bus and --keys are needed; --help shows what they are")
	case o.slots < 1:
		return o, errors.New("--slots must be at least 1")
	case o.settle <= 0:
		return o, errors.New("--settle must be above 0")
	}
	if o.registry == "" {
		o.registry = daemon.RegistryFile(o.keys)
	}
	return o, nil
}

func run(ctx context.Context, log zerolog.Logger, o options) error {
	ring, err := seal.OpenRing(o.keys, messages.RoleCPI)
	if err != nil {
		return err
	}
	conn, err := bus.Connect(ctx, bus.Options{
		URL: o.bus, Name: daemon.Source(program), Log: log,
		SeedFile: filepath.Join(o.keys, messages.RoleCPI+".nk"), InboxPrefix: messages.InboxPrefix(messages.RoleCPI),
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	cloud := openstack.New(openstack.Options{Bus: conn, Ring: ring, Keys: o.keys, Registry: o.registry})
	return cpi.Run(ctx, cpi.Options{
		Conn: conn, Ring: ring, Cloud: openstack.Name, Slots: o.slots, Settle: o.settle, Log: log,
		Methods: cloud.Methods(), Queries: cloud.Queries(), Info: openstack.Info(), OnlyQueries: o.queries,
		Ready: func() {
			log.Info().Str("cloud", openstack.Name).Int("slots", o.slots).Bool("only_queries", o.queries).Msg("serving")
			if err := daemon.Ready(); err != nil {
				log.Warn().Err(err).Msg("whoever started this program was not told that it serves")
			}
		},
	})
}
