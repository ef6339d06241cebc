package linux

import (
	"context"
	"path/filepath"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// SetupDataSys makes data/sys/{log,run} for jobs and the link sys.
func (l *Linux) SetupDataSys(ctx context.Context) error {
	_, vcap, err := l.vcap(ctx)
	if err != nil {
		return err
	}
	if err := makeDir(l.dir.Join("data", "sys"), 0o755, 0, 0); err != nil {
		return err
	}
	for _, name := range []string{"log", "run"} {
		if err := makeDir(l.dir.Join("data", "sys", name), 0o750, 0, vcap); err != nil {
			return err
		}
	}
	return home.Symlink(filepath.Join("data", "sys"), l.dir.Join("sys"))
}
