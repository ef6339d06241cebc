package linux

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

// SetHostname names the machine, now and at its next boot.
func (l *Linux) SetHostname(_ context.Context, name string) error {
	if _, err := put("/etc/hosts", platform.Hosts(name), 0o644, 0, 0); err != nil {
		return err
	}
	if _, err := put("/etc/hostname", name+"\n", 0o644, 0, 0); err != nil {
		return err
	}
	if now, err := os.Hostname(); err == nil && now == name {
		return nil
	}
	const most = 64 // of the kernel; agent ids may be longer
	if err := unix.Sethostname([]byte(name[:min(len(name), most)])); err != nil {
		return fmt.Errorf("cannot set the host's name: %w", err)
	}
	return nil
}
