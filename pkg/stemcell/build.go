package stemcell

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
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
// owners, sorted members. The image lies beside the output while it is built.
func Build(o Options) error {
	if o.Name == "" || o.Version == "" || o.Root == nil {
		return errors.New("cannot build a stemcell without a name, a version and a root")
	}
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
	manifest, err := o.manifest(digest)
	if err != nil {
		return fmt.Errorf("cannot build %s: %w", o.Output, err)
	}
	out, err := renameio.NewPendingFile(o.Output, renameio.WithStaticPermissions(0o644))
	if err != nil {
		return fmt.Errorf("cannot build %s: %w", o.Output, err)
	}
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
	if err == nil {
		err = out.CloseAtomicallyReplace()
	}
	if err = errors.Join(err, out.Cleanup()); err != nil {
		return fmt.Errorf("cannot build %s: %w", o.Output, err)
	}
	return nil
}

// manifest is stemcell.MF.
func (o Options) manifest(digest string) ([]byte, error) {
	properties := map[string]any{"name": o.Name, "version": o.Version}
	maps.Copy(properties, o.CloudProperties)
	return yaml.Marshal(map[string]any{
		"name": o.Name, "version": o.Version, "bosh_protocol": 1, "api_version": o.APIVersion, "sha1": digest,
		"stemcell_formats": o.Formats, "cloud_properties": properties,
	})
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
