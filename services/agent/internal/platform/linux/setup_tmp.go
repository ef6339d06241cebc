package linux

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// tmpSize is the original's.
const tmpSize = 128 << 20

// SetupTmp gives the agent data/tmp, and /tmp a file system of its own, so that
// no job fills the root disk through it.
func (l *Linux) SetupTmp(ctx context.Context) error {
	_, vcap, err := l.vcap(ctx)
	if err != nil {
		return err
	}
	own := l.dir.Join("data", "tmp")
	if err := makeDir(own, 0o755, 0, 0); err != nil {
		return err
	}
	if err := os.Setenv("TMPDIR", own); err != nil {
		return err
	}
	if err := ownIfThere("/var/tmp", 0o700, 0, 0); err != nil {
		return err
	}
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	if _, ok := mounts.at("/tmp"); !ok && !l.keepTmp {
		if err := l.mountTmp(ctx); err != nil {
			return err
		}
	}
	return makeDir("/tmp", 0o770, 0, vcap)
}

// mountTmp mounts a sparse file; where there are no loop devices, memory.
func (l *Linux) mountTmp(ctx context.Context) error {
	if err := os.MkdirAll("/tmp", 0o770); err != nil {
		return fmt.Errorf("cannot make the folder /tmp: %w", err)
	}
	if !exists("/dev/loop-control") {
		l.log.Info().Msg("there are no loop devices: /tmp is in memory")
		if err := unix.Mount("tmpfs", "/tmp", "tmpfs", 0, fmt.Sprintf("size=%d,mode=0770", tmpSize)); err != nil {
			return fmt.Errorf("cannot mount /tmp: %w", err)
		}
		return nil
	}
	image := l.dir.Join("data", "root_tmp")
	f, err := os.OpenFile(image, os.O_RDWR|os.O_CREATE, 0o700)
	if err != nil {
		return fmt.Errorf("cannot make %s: %w", image, err)
	}
	defer f.Close()
	if err := f.Chmod(0o700); err != nil {
		return fmt.Errorf("cannot make %s: %w", image, err)
	}
	if err := f.Truncate(tmpSize); err != nil {
		return fmt.Errorf("cannot make %s: %w", image, err)
	}
	// What was in /tmp before a boot is nobody's, so the file is made anew.
	if _, err := run(ctx, "", "mke2fs", "-t", "ext4", "-m", "1", "-F", "-q", image); err != nil {
		return err
	}
	if _, err := run(ctx, "", "mount", "-t", "ext4", "-o", "loop", image, "/tmp"); err != nil {
		return fmt.Errorf("cannot mount /tmp: %w", err)
	}
	return nil
}
