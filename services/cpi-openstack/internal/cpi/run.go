package cpi

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

// Defaults of Options.
const (
	DefaultSlots  = 8
	DefaultSettle = 120 * time.Second

	// defaultGrace is less than what the orchestrator waits beyond a deadline.
	defaultGrace = 20 * time.Second
)

// Method is one step command's work.
type Method struct {
	// Creates says that it makes a resource by Step.Create: then its failure is
	// final only once nothing can be there any more.
	Creates bool

	// Run does the work and gives the method's Outputs. It must be safe to
	// repeat. Errors that may pass (see Transient) have it run again.
	Run func(ctx context.Context, s *Step) (any, error)
}

// Query answers one read.
type Query func(ctx context.Context, args []byte, secrets messages.StepSecrets) (any, error)

// Options configure a CPI.
type Options struct {
	Conn    *bus.Conn
	Ring    *seal.Ring // opens the secrets of commands
	Cloud   string
	Slots   int           // commands at a time, default 8
	Settle  time.Duration // how long a lost create may take to show, default 120 s
	Grace   time.Duration // for a last look after the deadline, default 20 s
	Log     zerolog.Logger
	Methods map[string]Method
	Queries map[string]Query
	Info    messages.CPIInfo
	Version string // of the micro service
	Ready   func() // called once reads are answered

	OnlyQueries bool // take no step commands
}

type worker struct {
	Options
	source string
}

// Run serves until ctx ends.
func Run(ctx context.Context, o Options) error {
	if o.Conn == nil || o.Ring == nil || len(o.Methods) == 0 {
		return messages.Errorf(messages.CodeInternal, "cannot run a CPI: connection, keys or methods are missing")
	}
	if _, err := messages.ParseToken("cloud", o.Cloud); err != nil {
		return fmt.Errorf("cannot run a CPI: %w", err)
	}
	if o.Slots <= 0 {
		o.Slots = DefaultSlots
	}
	if o.Settle <= 0 {
		o.Settle = DefaultSettle
	}
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}
	if o.Info.Host == "" {
		o.Info.Host = daemon.HostID()
	}
	w := &worker{Options: o, source: daemon.Source("microbosh-cpi-" + o.Cloud)}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return o.Conn.Serve(ctx, w.service()) })
	if !o.OnlyQueries {
		group.Go(func() error { return o.Conn.Work(ctx, messages.StepConsumer(o.Cloud), o.Slots, w.handle) })
	}
	return group.Wait()
}
