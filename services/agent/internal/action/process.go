package action

import (
	"context"
	"fmt"
)

func start(ctx context.Context, d *Dispatcher, _ call) (any, error) {
	if err := d.o.Supervisor.Start(ctx); err != nil {
		return nil, fmt.Errorf("Cannot start job: %w", err) //nolint:staticcheck // BOSH's text
	}
	return "started", nil
}

// stop waits until the processes are gone, whatever the protocol: a disk may be
// taken away next.
func stop(ctx context.Context, d *Dispatcher, _ call) (any, error) {
	if err := d.o.Supervisor.Stop(ctx); err != nil {
		return nil, fmt.Errorf("Cannot stop job: %w", err) //nolint:staticcheck // BOSH's text
	}
	return "stopped", nil
}
