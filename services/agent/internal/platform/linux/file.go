package linux

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// put makes path hold content, with mode and owner; false when it did already.
// The folders above are made as a system's are, readable by all.
func put(path, content string, mode fs.FileMode, uid, gid int) (changed bool, err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // /etc/resolv.conf is often a link that stays one
	}
	if is, err := os.Stat(path); err == nil && is.Mode().IsRegular() {
		if now, err := home.ReadFile(path); err == nil && bytes.Equal(now, []byte(content)) {
			return false, own(path, mode, uid, gid)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, fmt.Errorf("cannot write %s: %w", path, err)
	}
	err = home.WriteFile(path, []byte(content), mode)
	if errors.Is(err, unix.EBUSY) { // a file that is itself a mount cannot be replaced
		err = os.WriteFile(path, []byte(content), mode)
	}
	if err != nil {
		return false, fmt.Errorf("cannot write %s: %w", path, err)
	}
	return true, own(path, mode, uid, gid)
}

// own sets owner and mode, which a link leads to.
func own(path string, mode fs.FileMode, uid, gid int) error {
	if err := os.Chown(path, uid, gid); err != nil {
		return fmt.Errorf("cannot set the owner of %s: %w", path, err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("cannot set the mode of %s: %w", path, err)
	}
	return nil
}

// ownIfThere is own of what may be missing.
func ownIfThere(path string, mode fs.FileMode, uid, gid int) error {
	if err := own(path, mode, uid, gid); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// makeDir makes a folder with mode and owner.
func makeDir(path string, mode fs.FileMode, uid, gid int) error {
	if err := os.MkdirAll(path, mode); err != nil {
		return fmt.Errorf("cannot make the folder %s: %w", path, err)
	}
	return own(path, mode, uid, gid)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
