// Command microbosh-cpi-openstack executes step commands on an OpenStack. As
// `exec`, or installed as `cpi`, it is a CPI that BOSH can call.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/executable"
)

const program = "microbosh-cpi-openstack"

func main() {
	if config, called, err := asCPI(os.Args, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, program+":", err)
		os.Exit(2)
	} else if called {
		os.Exit(executable.Main(context.Background(), config))
	}
	o, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, program+":", err)
		os.Exit(2)
	}
	os.Exit(daemon.Main(program, func(ctx context.Context, log zerolog.Logger) error {
		return run(ctx, log, o)
	}))
}
