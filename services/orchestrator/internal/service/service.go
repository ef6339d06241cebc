package service

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/runner"
	"github.com/microbosh/microbosh/services/orchestrator/internal/steps"
)

// Options configure the service.
type Options struct {
	Conn    *bus.Conn
	Ring    *seal.Ring // the orchestrator's
	Keys    string     // folder with the other roles' public keys
	Version string     // SemVer, for `nats service ls`; default 0.0.0-dev
	Slots   int        // runs at once; default 32
	Silence time.Duration
	Log     zerolog.Logger
}

// Run serves until ctx ends. Ready is told through pkg/daemon once requests are
// taken.
func Run(ctx context.Context, o Options) error {
	if o.Version == "" {
		o.Version = "0.0.0-dev"
	}
	nonce := make([]byte, 4)
	if _, err := rand.Read(nonce); err != nil {
		return fmt.Errorf("cannot make a name for this orchestrator: %w", err)
	}
	source := daemon.Source(messages.ServiceOrchestrator)
	id := hex.EncodeToString(nonce)
	j := journal.New(o.Conn, source)
	s := steps.New(steps.Options{
		Conn: o.Conn, Ring: o.Ring, Keys: o.Keys, Source: source, Director: "microbosh-" + id, Silence: o.Silence,
		Log: o.Log.With().Str("component", "steps").Logger(),
	})
	run := runner.New(runner.Options{
		Conn: o.Conn, Journal: j, Steps: s, Ring: o.Ring, Owner: source + "-" + id, Source: source, Slots: o.Slots,
		Log: o.Log.With().Str("component", "runner").Logger(),
	})
	e := endpoints{journal: j, steps: s, ring: o.Ring, source: source}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return run.Run(ctx) })
	group.Go(func() error {
		return o.Conn.Serve(ctx, bus.Service{
			Name: messages.ServiceOrchestrator, Version: o.Version,
			Description: "turns deploy requests into steps and keeps the journal", Endpoints: e.table(),
		})
	})
	if err := daemon.Ready(); err != nil {
		o.Log.Warn().Err(err).Msg("readiness not told")
	}
	return group.Wait()
}
