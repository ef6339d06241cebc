package linux

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// HardenPermissions closes what jobs do not need, and takes the listing of data
// and store from others: the step that the original wrote and never ran.
func (l *Linux) HardenPermissions(ctx context.Context) error {
	_, vcap, err := l.vcap(ctx)
	if err != nil {
		return err
	}
	for _, path := range []string{"/etc/cron.allow", "/etc/at.allow"} {
		if _, err := put(path, "vcap\n", 0o640, 0, vcap); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		path string
		mode fs.FileMode
		gid  int
	}{
		{"/dev/sr0", 0o660, 0}, {"/dev/log", 0o660, vcap}, {"/dev/shm", 0o770, vcap}, {"/var/lock", 0o770, vcap},
	} {
		if err := ownIfThere(c.path, c.mode, 0, c.gid); err != nil {
			return err
		}
	}
	for _, dir := range []string{l.dir.Join("data"), l.dir.Join("store")} {
		is, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		const othersRead = 0o004
		if is.Mode().Perm()&othersRead == 0 {
			continue
		}
		if err := os.Chmod(dir, is.Mode()&^othersRead); err != nil {
			return err
		}
	}
	return nil
}
