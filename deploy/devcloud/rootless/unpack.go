package rootless

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Bounds on an image.
const (
	maxFiles = 200_000
	maxBytes = 16 << 30
)

// unpack writes the tar to dir, aside first so that a half of it is never taken
// for the whole. os.Root keeps every name inside, also behind symlinks, and no
// symlink leads out: other programs follow them later.
func unpack(ctx context.Context, image, dir string) error {
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
	if err := extract(ctx, tar.NewReader(f), root); err != nil {
		return fmt.Errorf("cannot unpack the image: %w", err)
	}
	if err := os.Rename(aside, dir); err != nil {
		return fmt.Errorf("cannot unpack the image: %w", err)
	}
	return nil
}

func extract(ctx context.Context, tr *tar.Reader, root *os.Root) error {
	var total int64
	for files := 0; ; files++ {
		if err := ctx.Err(); err != nil {
			return err
		}
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
		if total += h.Size; files > maxFiles || h.Size > maxBytes || total > maxBytes {
			return errors.New("it is too large")
		}
		name := filepath.Clean(h.Name)
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%q lies outside of it", h.Name)
		}
		if err := member(root, name, h, tr); err != nil {
			return fmt.Errorf("member %q: %w", h.Name, err)
		}
	}
}

func member(root *os.Root, name string, h *tar.Header, r io.Reader) error {
	if name == "." || h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		return writeFile(root, name, h, r)
	case tar.TypeSymlink:
		return symlink(root, name, h.Linkname)
	case tar.TypeLink:
		return link(root, name, filepath.Clean(h.Linkname))
	}
	return errors.New("it is neither file, folder nor link")
}

func writeFile(root *os.Root, name string, h *tar.Header, r io.Reader) error {
	mode := fs.FileMode(h.Mode).Perm() | 0o400
	if h.Size >= shared {
		mode &^= 0o222
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Chmod(mode), f.Close())
}
