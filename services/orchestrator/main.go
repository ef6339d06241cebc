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
		Args: os.Args[1:], In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Terminal: terminal(),
	}))
}

// terminal gives the size of the terminal that stderr is, nil when it is none.
func terminal() func() (columns, rows int) {
	fd := int(os.Stderr.Fd())
	if !term.IsTerminal(fd) {
		return nil
	}
	return func() (int, int) {
		columns, rows, err := term.GetSize(fd)
		if err != nil || columns <= 0 {
			return 80, 0
		}
		return columns, rows
	}
}
