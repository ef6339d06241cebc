package stemcell

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// File is one entry of a root file system: Data, or the content of Source.
type File struct {
	Path   string // relative, slashes
	Mode   int64
	Source string
	Data   []byte
}

// RootTar writes the files as a plain tar, folders first.
func RootTar(files []File) func(io.Writer) error {
	return func(out io.Writer) error {
		w := tar.NewWriter(out)
		return errors.Join(addTree(w, files), w.Close())
	}
}

func addTree(w *tar.Writer, files []File) error {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	made := map[string]bool{".": true} // folders; false: a file
	for _, f := range files {
		if _, there := made[f.Path]; there || !fs.ValidPath(f.Path) {
			return fmt.Errorf("%q is no path for a file, or is there twice", f.Path)
		}
		made[f.Path] = false
		if err := addParents(w, path.Dir(f.Path), made); err != nil {
			return err
		}
		var err error
		if f.Source != "" {
			err = addFile(w, f.Path, f.Mode, f.Source)
		} else {
			err = addBytes(w, f.Path, f.Mode, f.Data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func addParents(w *tar.Writer, dir string, made map[string]bool) error {
	isDir, there := made[dir]
	if there && !isDir {
		return fmt.Errorf("%q is a file and a folder", dir)
	}
	if there {
		return nil
	}
	if err := addParents(w, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, Format: tar.FormatPAX})
}

// Archive is a tar.gz of the files, as jobs and packages are.
func Archive(files []File) ([]byte, error) {
	var b bytes.Buffer
	err := writeArchive(&b, gzip.BestSpeed, func(w *tar.Writer) error { return addTree(w, files) })
	return b.Bytes(), err
}

func writeArchive(out io.Writer, level int, fill func(*tar.Writer) error) error {
	gz, err := gzip.NewWriterLevel(out, level)
	if err != nil {
		return err
	}
	w := tar.NewWriter(gz)
	return errors.Join(fill(w), w.Close(), gz.Close())
}

func addBytes(w *tar.Writer, name string, mode int64, data []byte) error {
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data)), Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

func addFile(w *tar.Writer, name string, mode int64, source string) error {
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: info.Size(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
