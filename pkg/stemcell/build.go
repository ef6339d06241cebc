package stemcell

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Options describe a stemcell to build.
type Options struct {
	Output          string // the .tgz; written beside and renamed
	Name            string
	Version         string
	APIVersion      int
	Formats         []string
	CloudProperties map[string]any        // those of stemcell.MF; name and version are added
	ApplySpec       json.RawMessage       // nil: no micro stemcell
	Root            func(io.Writer) error // writes root.img
}

// Build writes a stemcell. The same input gives the same bytes: no times, no
// owners, sorted members.
func Build(o Options) error {
	dir := filepath.Dir(o.Output)
	image, err := os.CreateTemp(dir, ".image-*")
	if err != nil {
		return fmt.Errorf("cannot build %s: %w", o.Output, err)
	}
	defer os.Remove(image.Name())
	defer image.Close()
	digest, err := writeImage(image, dir, o.Root)
	if err != nil {
		return fmt.Errorf("cannot build the image of %s: %w", o.Output, err)
	}
	properties := map[string]any{"name": o.Name, "version": o.Version}
	for k, v := range o.CloudProperties {
		properties[k] = v
	}
	manifest, err := yaml.Marshal(map[string]any{
		"name": o.Name, "version": o.Version, "bosh_protocol": 1, "api_version": o.APIVersion, "sha1": digest,
		"stemcell_formats": o.Formats, "cloud_properties": properties,
	})
	if err != nil {
		return fmt.Errorf("cannot build %s: %w", o.Output, err)
	}
	out, err := os.CreateTemp(dir, ".stemcell-*")
	if err != nil {
		return fmt.Errorf("cannot build %s: %w", o.Output, err)
	}
	defer os.Remove(out.Name())
	defer out.Close()
	err = writeArchive(out, gzip.NoCompression, func(w *tar.Writer) error {
		if err := addBytes(w, memberManifest, 0o644, manifest); err != nil {
			return err
		}
		if o.ApplySpec != nil {
			if err := addBytes(w, memberSpec, 0o644, o.ApplySpec); err != nil {
				return err
			}
		}
		return addFile(w, memberImage, 0o644, image.Name())
	})
	if err = errors.Join(err, out.Chmod(0o644), out.Close()); err != nil {
		return fmt.Errorf("cannot build %s: %w", o.Output, err)
	}
	return os.Rename(out.Name(), o.Output)
}

// writeImage writes the member image and gives its sha1.
func writeImage(image *os.File, dir string, write func(io.Writer) error) (string, error) {
	root, err := os.CreateTemp(dir, ".root-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(root.Name())
	defer root.Close()
	buffered := bufio.NewWriterSize(root, 1<<20)
	if err := errors.Join(write(buffered), buffered.Flush()); err != nil {
		return "", err
	}
	sum := sha1.New()
	err = writeArchive(io.MultiWriter(image, sum), gzip.BestSpeed, func(w *tar.Writer) error {
		return addFile(w, memberRoot, 0o644, root.Name())
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

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
	made := map[string]bool{".": true}
	for _, f := range files {
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
	if made[dir] {
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
