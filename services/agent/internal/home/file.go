package home

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// MaxFile is the largest of the agent's own files that is read.
const MaxFile = 16 << 20

// MkdirAll makes the agent's own folders, closed to others.
func MkdirAll(dirs ...string) error {
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("cannot make the folder %s: %w", dir, err)
		}
	}
	return nil
}

// MkdirOpen makes folders that jobs pass through, whoever they run as.
func MkdirOpen(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the folder %s: %w", dir, err)
	}
	return nil
}

// WriteFile replaces path by data, durably: the file and its folder are synced
// before it returns.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	return replace(path, data, mode, true)
}

// NoteFile is WriteFile of what is made anew at each start: whole or not at all,
// but a power cut may lose it.
func NoteFile(path string, data []byte, mode fs.FileMode) error {
	return replace(path, data, mode, false)
}

func replace(path string, data []byte, mode fs.FileMode, durably bool) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot write %s: %w", path, err)
		}
	}()
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := beside(filepath.Join(dir, "."+filepath.Base(path)+".new"))
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
		tmp.Close() // after that another writer may have its turn
	}()
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := tmp.Chmod(mode); err != nil {
		return err
	}
	if durably {
		if err := tmp.Sync(); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	done = true
	if !durably {
		return nil
	}
	return SyncDir(dir)
}

// beside opens an empty file for one writer at a time. What a killed one has
// left under the name is used again, so that nothing piles up.
func beside(name string) (*os.File, error) {
	for {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		ours, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if now, err := os.Lstat(name); err != nil || !os.SameFile(ours, now) {
			f.Close() // its writer has renamed it meanwhile
			continue
		}
		if err := f.Truncate(0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	}
}

// SyncDir makes the names in a folder durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// SyncTree makes everything below a folder durable, by syncing its file system
// once instead of every file.
func SyncTree(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}

// Symlink makes path a symlink to target, whatever link it was before, in one
// step, durably. A folder or file at path is left alone and is an error; the
// folder that path lies in is made, open to jobs, when it is not there.
func Symlink(target, path string) error {
	if now, err := os.Readlink(path); err == nil && now == target {
		return nil
	}
	if err := Link(target, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Link is Symlink without the sync, for who makes many.
func Link(target, path string) error {
	if now, err := os.Lstat(path); err == nil && now.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("cannot link %s: it is there and no symlink", path)
	}
	if err := MkdirOpen(filepath.Dir(path)); err != nil {
		return fmt.Errorf("cannot link %s: %w", path, err)
	}
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".link")
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot link %s: %w", path, err)
	}
	if err := os.Symlink(target, tmp); err != nil {
		return fmt.Errorf("cannot link %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("cannot link %s: %w", path, err)
	}
	return nil
}

// WriteJSON is WriteFile of v, readable by the agent alone.
func WriteJSON(path string, v any) error { return writeJSON(path, v, true) }

// NoteJSON is to WriteJSON what NoteFile is to WriteFile.
func NoteJSON(path string, v any) error { return writeJSON(path, v, false) }

func writeJSON(path string, v any, durably bool) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return replace(path, append(data, '\n'), 0o600, durably)
}

// ReadFile reads at most MaxFile bytes.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if len(data) > MaxFile {
		return nil, fmt.Errorf("cannot read %s: it is larger than %d bytes", path, MaxFile)
	}
	return data, nil
}

// ReadJSON reads path into v; a missing file is fs.ErrNotExist.
func ReadJSON(path string, v any) error {
	data, err := ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	return nil
}
