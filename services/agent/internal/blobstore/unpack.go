package blobstore

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// What an archive may hold.
const (
	maxEntries = 200_000
	maxBytes   = 8 << 30
)

// unpackAside unpacks beside dir and renames, so that dir is never half there.
// What a killed unpacking left is removed first.
func unpackAside(from io.Reader, dir string) error {
	aside := dir + "-bosh-agent-unpack"
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := home.MkdirAll(aside); err != nil {
		return err
	}
	if err := Untar(from, aside); err != nil {
		return errors.Join(err, os.RemoveAll(aside))
	}
	if err := os.Chmod(aside, 0o755); err != nil { // jobs that are not root read packages
		return err
	}
	if err := home.SyncTree(aside); err != nil {
		return err
	}
	if err := os.Rename(aside, dir); err != nil {
		return err
	}
	return home.SyncDir(filepath.Dir(dir))
}

// Untar unpacks a tar.gz, or a plain tar as today's packages may be, into dir. Nothing is written outside dir, through no
// name and no symlink; devices, owners and set-user-id bits are not taken over.
func Untar(from io.Reader, dir string) error {
	buffered := bufio.NewReader(from)
	var plain io.Reader = buffered
	if magic, err := buffered.Peek(2); err == nil && string(magic) == "\x1f\x8b" {
		zip, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("it is no gzip: %w", err)
		}
		defer zip.Close()
		plain = zip
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	left := int64(maxBytes)
	archive := tar.NewReader(plain)
	for n := 0; ; n++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			// The rest holds gzip's checksum.
			if _, err := io.Copy(io.Discard, io.LimitReader(plain, maxBytes)); err != nil {
				return fmt.Errorf("it is cut or damaged: %w", err)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("it is no tar: %w", err)
		}
		if n >= maxEntries {
			return fmt.Errorf("it has more than %d entries", maxEntries)
		}
		name, err := entryName(header.Name)
		if err != nil {
			return err
		}
		if name == "." {
			continue
		}
		if left -= max(header.Size, 0); left < 0 {
			return fmt.Errorf("it has more than %d bytes", int64(maxBytes))
		}
		if err := unpackEntry(root, archive, header, name); err != nil {
			return fmt.Errorf("entry %q: %w", name, err)
		}
	}
}

// entryName refuses names that lead out.
func entryName(name string) (string, error) {
	clean := path.Clean(name)
	if path.IsAbs(name) || clean == ".." || strings.HasPrefix(clean, "../") || strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("entry %q leads out of the archive", name)
	}
	return clean, nil
}

func unpackEntry(root *os.Root, from io.Reader, header *tar.Header, name string) error {
	mode := fs.FileMode(header.Mode).Perm()
	if parent := path.Dir(name); parent != "." {
		if err := root.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	switch header.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(name, 0o755); err != nil {
			return err
		}
		return root.Chmod(name, mode|0o700)
	case tar.TypeReg:
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, from)
		return errors.Join(err, f.Chmod(mode), f.Close())
	case tar.TypeSymlink:
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return root.Symlink(header.Linkname, name)
	case tar.TypeLink:
		target, err := entryName(header.Linkname)
		if err != nil {
			return err
		}
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return root.Link(target, name)
	case tar.TypeXGlobalHeader:
		return nil
	default:
		return errors.New("it is neither file, folder nor link")
	}
}
