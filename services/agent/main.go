// Command microbosh-agent is BOSH's agent: it makes a machine out of its
// settings and then does what the mbus asks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/services/agent/internal/agent"
)

func main() {
	config, err := agent.Parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "microbosh-agent:", err)
		os.Exit(2)
	case config.Version:
		if info, ok := debug.ReadBuildInfo(); ok {
			fmt.Println("microbosh-agent", info.Main.Version)
		}
		return
	}
	config.Ready = daemon.Ready
	os.Exit(daemon.Main("microbosh-agent", func(ctx context.Context, log zerolog.Logger) error {
		if level, err := zerolog.ParseLevel(config.LogLevel); err == nil && config.LogLevel != "" {
			log = log.Level(level)
		}
		return agent.Run(ctx, config, log)
	}))
}
