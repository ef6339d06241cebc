package linux

import (
	"context"

	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

// SetupLogrotate writes the file for logrotate.
func (l *Linux) SetupLogrotate(_ context.Context, size string) error {
	_, err := put("/etc/logrotate.d/vcap", platform.Logrotate(l.dir.Join("data", "sys", "log"), size), 0o644, 0, 0)
	return err
}
