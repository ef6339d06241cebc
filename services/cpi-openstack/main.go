// Command microbosh-cpi-openstack executes step commands on an OpenStack.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/daemon"
)

const program = "microbosh-cpi-openstack"

func main() {
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
