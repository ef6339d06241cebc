package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// tryLock takes the supervisor's lock of a state folder; nil without an error
// when somebody else has it. The kernel lets go of it when the process ends.
func tryLock(dir string) (*os.File, error) {
	return flock(filepath.Join(dir, "stack.lock"), os.O_CREATE|os.O_RDWR)
}

// busLocked tells whether a bus holds the folder: its address file alone may be
// what a killed one left behind.
func busLocked(dir string) bool {
	f, err := flock(filepath.Join(dir, "lock"), os.O_RDWR)
	if f != nil {
		_ = f.Close()
	}
	return err == nil && f == nil
}

func flock(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the lock: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, fmt.Errorf("cannot lock %s: %w", path, err)
}
