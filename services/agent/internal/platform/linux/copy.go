package linux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// copyTree copies a whole file system: owners, modes, times, links of both
// kinds, holes, devices and extended attributes.
func copyTree(ctx context.Context, from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("cannot copy the old disk's files: %w", err)
	}
	args := []string{"-a", "--sparse=auto", "--remove-destination", "--"}
	for _, e := range entries {
		if e.Name() != "lost+found" {
			args = append(args, filepath.Join(from, e.Name()))
		}
	}
	const flags = 4
	if len(args) > flags {
		if _, err := run(ctx, "", "cp", append(args, to)...); err != nil {
			return fmt.Errorf("cannot copy the old disk's files: %w", err)
		}
	}
	var top unix.Stat_t
	if err := unix.Stat(from, &top); err != nil {
		return fmt.Errorf("cannot copy the old disk's files: %w", err)
	}
	return own(to, fs.FileMode(top.Mode&0o777), int(top.Uid), int(top.Gid))
}

// compareTrees fails at the first thing that is not the same on both sides.
func compareTrees(ctx context.Context, from, to string) error {
	count := [2]int{}
	for i, top := range []string{from, to} {
		err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case path == filepath.Join(top, "lost+found"):
				return fs.SkipDir
			}
			count[i]++
			if i == 1 || path == top {
				return nil
			}
			rel, err := filepath.Rel(top, path)
			if err != nil {
				return err
			}
			return compare(path, filepath.Join(to, rel))
		})
		if err != nil {
			return err
		}
	}
	if count[0] != count[1] {
		return fmt.Errorf("there are %d files and folders, and %d in the copy", count[0], count[1])
	}
	return nil
}

func compare(a, b string) error {
	var x, y unix.Stat_t
	if err := unix.Lstat(a, &x); err != nil {
		return fmt.Errorf("%s: %w", a, err)
	}
	if err := unix.Lstat(b, &y); err != nil {
		return fmt.Errorf("%s: %w", b, err)
	}
	kind := x.Mode & unix.S_IFMT
	switch {
	case x.Mode != y.Mode || x.Uid != y.Uid || x.Gid != y.Gid:
		return fmt.Errorf("%s has another mode or owner", b)
	case x.Rdev != y.Rdev, kind == unix.S_IFREG && x.Size != y.Size:
		return fmt.Errorf("%s has another size", b)
	case kind == unix.S_IFLNK:
		return compareLinks(a, b)
	case kind == unix.S_IFREG:
		return compareFiles(a, b)
	}
	return nil
}

func compareLinks(a, b string) error {
	x, err := os.Readlink(a)
	if err != nil {
		return err
	}
	y, err := os.Readlink(b)
	if err != nil {
		return err
	}
	if x != y {
		return fmt.Errorf("%s leads elsewhere", b)
	}
	return nil
}

func compareFiles(a, b string) error {
	x, err := os.Open(a)
	if err != nil {
		return err
	}
	defer x.Close()
	y, err := os.Open(b)
	if err != nil {
		return err
	}
	defer y.Close()
	const chunk = 256 << 10
	left, right := make([]byte, chunk), make([]byte, chunk)
	for {
		n, err := io.ReadFull(x, left)
		m, other := io.ReadFull(y, right)
		if !bytes.Equal(left[:n], right[:m]) {
			return fmt.Errorf("%s has another content", b)
		}
		for _, err := range []error{err, other} {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}
