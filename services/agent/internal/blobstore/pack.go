package blobstore

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Pack writes a folder as a tar.gz, which Untar reads: files, folders and
// symlinks, without owners.
func Pack(to io.Writer, dir string) error {
	zip := gzip.NewWriter(to)
	archive := tar.NewWriter(zip)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return packEntry(archive, path, "./"+name, info)
	})
	if err = errors.Join(err, archive.Close(), zip.Close()); err != nil {
		return fmt.Errorf("cannot pack %s: %w", dir, err)
	}
	return nil
}

func packEntry(archive *tar.Writer, path, name string, info fs.FileInfo) error {
	link := ""
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		var err error
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil // a socket or pipe is no content
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name, header.Uid, header.Gid, header.Uname, header.Gname = name, 0, 0, "", ""
	if err := archive.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	// A log may grow meanwhile; the header has promised the size.
	if _, err := io.CopyN(archive, f, info.Size()); err != nil {
		return fmt.Errorf("cannot read %s: %w", name, err)
	}
	return nil
}
