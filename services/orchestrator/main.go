// Command microbosh deploys a micro BOSH, and is the orchestrator service that
// does so.
package main

import (
	"context"
	"os"

	"golang.org/x/term"

	"github.com/microbosh/microbosh/services/orchestrator/internal/cli"
)

func main() {
	os.Exit(cli.Run(context.Background(), cli.Options{
		Args: os.Args[1:], In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Getenv: os.Getenv, Colour: term.IsTerminal(int(os.Stderr.Fd())),
	}))
}
