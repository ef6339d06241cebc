package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const mask = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_CLOSE_WRITE |
	unix.IN_DELETE | unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF

// Until returns once done says true, which it asks first and then whenever
// something changes beside one of paths. A folder that is not there yet is
// waited for. The error is done's, ctx's cause, or that inotify is refused.
func Until(ctx context.Context, paths []string, done func() (bool, error)) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("cannot watch files: %w", err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	defer events.Close()
	stop := context.AfterFunc(ctx, func() { _ = events.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := make([]byte, 16*1024)
	for {
		// Watch before looking, so that nothing happens unseen in between; and
		// again after each event, as a folder may have come or gone.
		for _, path := range paths {
			if err := arm(fd, filepath.Dir(path)); err != nil {
				return fmt.Errorf("cannot watch %s: %w", filepath.Dir(path), err)
			}
		}
		if ok, err := done(); ok || err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, err := events.Read(buf); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return context.Cause(ctx)
			}
			return fmt.Errorf("cannot watch files: %w", err)
		}
	}
}

// arm watches dir or, while it is missing, the nearest folder above it.
func arm(fd int, dir string) error {
	missing := ""
	for at := dir; ; at = filepath.Dir(at) {
		_, err := unix.InotifyAddWatch(fd, at, mask)
		switch {
		case err == nil && missing == "":
			return nil
		case err == nil:
			// What was missing may have come before its parent was watched.
			if _, err := os.Lstat(missing); err != nil {
				return nil
			}
			return arm(fd, dir)
		case at == "/" || at == ".":
			return err
		case !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR):
			return err
		}
		missing = at
	}
}
