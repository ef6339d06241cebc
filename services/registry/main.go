// Command microbosh-registry keeps the settings of VMs: on the bus for CPIs,
// over BOSH's HTTP API for agents.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/services/registry/internal/settings"
)

func main() {
	flags := flag.NewFlagSet("microbosh-registry", flag.ContinueOnError)
	var o settings.Options
	flags.StringVar(&o.Bus, "bus", "", "`URL` of the bus, nats://host:port")
	flags.StringVar(&o.Keys, "keys", "", "`folder` with registry.nk, registry.xk and registry.http; the last two are made when missing")
	flags.StringVar(&o.Listen, "listen", "127.0.0.1:25777", "`address` of the HTTP API; port 0 takes a free one")
	flags.StringVar(&o.Advertise, "advertise", "", "`URL` at which VMs reach the HTTP API, when it is not the address listened on")
	if err := flags.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}
	if flags.NArg() > 0 || o.Bus == "" || o.Keys == "" {
		fmt.Fprintln(os.Stderr, "microbosh-registry: --bus and --keys are needed, and nothing else beside the flags")
		flags.Usage()
		os.Exit(2)
	}
	o.Ready = daemon.Ready
	os.Exit(daemon.Main("microbosh-registry", func(ctx context.Context, log zerolog.Logger) error {
		o.Log = log
		return settings.Run(ctx, o)
	}))
}
