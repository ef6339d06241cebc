package rootless

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Bounds on an image.
const (
	maxFiles = 100_000
	maxBytes = 8 << 30
)

// unpack writes the tar below dir, aside first so that a half of it is never
// taken for the whole. os.Root keeps every name inside.
func unpack(image, dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	f, err := os.Open(image)
	if err != nil {
		return fmt.Errorf("cannot read the image: %w", err)
	}
	defer f.Close()
	aside, err := os.MkdirTemp(filepath.Dir(dir), ".root-*")
	if err != nil {
		return fmt.Errorf("cannot unpack the image: %w", err)
	}
	defer os.RemoveAll(aside)
	root, err := os.OpenRoot(aside)
	if err != nil {
		return fmt.Errorf("cannot unpack the image: %w", err)
	}
	defer root.Close()
	if err := extract(tar.NewReader(f), root); err != nil {
		return fmt.Errorf("cannot unpack the image: %w", err)
	}
	if err := os.Chmod(aside, 0o755); err != nil {
		return fmt.Errorf("cannot unpack the image: %w", err)
	}
	if err := os.Rename(aside, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, statErr := os.Stat(dir); statErr != nil {
			return fmt.Errorf("cannot unpack the image: %w", err)
		}
	}
	return nil
}

func extract(tr *tar.Reader, root *os.Root) error {
	var total int64
	for files := 0; ; files++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			if files == 0 {
				return errors.New("it is empty")
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("it is no tar: %w", err)
		}
		if total += h.Size; files > maxFiles || total > maxBytes {
			return errors.New("it is too large")
		}
		name := filepath.Clean(h.Name)
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%q lies outside of it", h.Name)
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o755)
		case tar.TypeReg:
			err = writeFile(root, name, h, tr)
		case tar.TypeSymlink:
			err = root.Symlink(h.Linkname, name)
		default:
			err = fmt.Errorf("%q is neither file, folder nor symlink", h.Name)
		}
		if err != nil {
			return err
		}
	}
}

func writeFile(root *os.Root, name string, h *tar.Header, r io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fs.FileMode(h.Mode).Perm()&^0o222|0o400)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// clone makes a server's root of an unpacked one: folders anew, files as hard
// links.
func clone(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return ignoreExisting(os.Symlink(link, target))
		default:
			return ignoreExisting(os.Link(path, target))
		}
	})
}

func ignoreExisting(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
