package linux

import (
	"context"

	"golang.org/x/sys/unix"
)

// Shutdown halts the machine.
func (l *Linux) Shutdown(ctx context.Context) error {
	if l.container {
		unix.Sync()
		return unix.Kill(1, unix.SIGTERM) // its init ends it
	}
	_, err := run(ctx, "", "shutdown", "-P", "0")
	return err
}
