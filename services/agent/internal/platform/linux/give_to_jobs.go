package linux

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// GiveToJobs makes what is below dir root's and of the jobs' group: jobs read
// it and change nothing. Modes stay; what a link leads to is left alone.
func (l *Linux) GiveToJobs(ctx context.Context, dir string) error {
	_, vcap, err := l.vcap(ctx)
	if err != nil {
		return err
	}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, 0, vcap)
	})
	if err != nil {
		return fmt.Errorf("cannot give %s to the jobs: %w", dir, err)
	}
	return nil
}
