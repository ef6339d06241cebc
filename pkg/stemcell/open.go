package stemcell

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Members of the archive.
const (
	memberManifest = "stemcell.MF"
	memberSpec     = "apply_spec.yml"
	memberImage    = "image"
	memberRoot     = "root.img"
)

// Bounds on what an archive may hold.
const (
	maxManifest = 1 << 20
	maxSpec     = 4 << 20
	maxMembers  = 10_000
)

// Stemcell is an archive whose members and digest were verified.
type Stemcell struct {
	Path            string
	Name            string
	Version         string
	APIVersion      int
	SHA1            string // of the member image
	Size            int64  // bytes of the archive
	ImageSize       int64  // bytes of the member image
	Formats         []string
	CloudProperties map[string]any
	ApplySpec       json.RawMessage // nil when it is no micro stemcell
}

// mf is stemcell.MF.
type mf struct {
	Name            any            `yaml:"name"`
	Version         any            `yaml:"version"`
	APIVersion      int            `yaml:"api_version"`
	SHA1            string         `yaml:"sha1"`
	Formats         []string       `yaml:"stemcell_formats"`
	CloudProperties map[string]any `yaml:"cloud_properties"`
}

// Open reads the archive once, from beginning to end, and verifies it: its
// members, their names, the manifest, and the image's sha1. Errors have code
// stemcell_missing or stemcell_invalid.
func Open(path string) (*Stemcell, error) {
	s := &Stemcell{Path: path}
	var manifest, spec []byte
	var digest string
	seen := map[string]bool{}
	err := walk(path, func(h *tar.Header, r io.Reader) error {
		if seen[h.Name] {
			return invalid(path, "the member %q is there twice", h.Name)
		}
		seen[h.Name] = true
		var err error
		switch h.Name {
		case memberManifest:
			manifest, err = readMember(path, h, r, maxManifest)
		case memberSpec:
			spec, err = readMember(path, h, r, maxSpec)
		case memberImage:
			sum := sha1.New()
			s.ImageSize, err = io.Copy(sum, r)
			digest = hex.EncodeToString(sum.Sum(nil))
		}
		return err
	}, func(size int64) { s.Size = size })
	if err != nil {
		return nil, err
	}
	if manifest == nil {
		return nil, invalid(path, "this isn't a stemcell - stemcell.MF missing")
	}
	if digest == "" {
		return nil, invalid(path, "Stemcell image file is missing")
	}
	if err := s.readManifest(manifest); err != nil {
		return nil, err
	}
	if !strings.EqualFold(digest, s.SHA1) {
		return nil, invalid(path, "the image's sha1 is %s, stemcell.MF says %s", digest, s.SHA1).
			WithHint("the file was cut or changed; download or build it again")
	}
	if spec != nil {
		if s.ApplySpec, err = toJSON(spec); err != nil {
			return nil, invalid(path, "apply_spec.yml cannot be read: %v", err)
		}
	}
	return s, nil
}

func (s *Stemcell) readManifest(raw []byte) error {
	var m mf
	if err := yaml.Unmarshal(raw, &m); err != nil {
		return invalid(s.Path, "stemcell.MF cannot be read: %v", err)
	}
	name, _ := m.Name.(string)
	version := ""
	switch v := m.Version.(type) {
	case string:
		version = v
	case int, float64:
		version = fmt.Sprint(v)
	}
	if name == "" || version == "" {
		return invalid(s.Path, "Manifest should contain valid name, version and cloud properties")
	}
	if m.SHA1 == "" {
		return invalid(s.Path, "sha1 must not be nil")
	}
	s.Name, s.Version, s.APIVersion, s.SHA1 = name, version, m.APIVersion, strings.ToLower(m.SHA1)
	s.CloudProperties, s.Formats = m.CloudProperties, m.Formats
	return nil
}

// Image streams root.img out of the member image. The reader fails at the end
// when the image is not the one that Open verified.
func (s *Stemcell) Image(ctx context.Context) (io.ReadCloser, error) {
	f, err := os.Open(s.Path)
	if err != nil {
		return nil, missing(s.Path, err)
	}
	image, err := findMember(s.Path, f, memberImage)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	root, err := findMember(s.Path, image, memberRoot)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &imageReader{ctx: ctx, r: root, f: f}, nil
}

type imageReader struct {
	ctx context.Context
	r   io.Reader
	f   *os.File
}

func (i *imageReader) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

func (i *imageReader) Close() error { return i.f.Close() }

// findMember is a reader of one member of a tar.gz.
func findMember(path string, r io.Reader, name string) (io.Reader, error) {
	gz, err := gzip.NewReader(bufio.NewReaderSize(r, 256<<10))
	if err != nil {
		return nil, invalid(path, "it holds no %s: %v", name, err)
	}
	tr := tar.NewReader(gz)
	for range maxMembers {
		h, err := tr.Next()
		if err != nil {
			break
		}
		if h.Name == name && h.Typeflag == tar.TypeReg {
			return tr, nil
		}
	}
	if name == memberRoot {
		return nil, invalid(path, "Root image is missing from stemcell archive")
	}
	return nil, invalid(path, "it holds no %s", name)
}

// walk goes through the archive's members and refuses what has no place in one.
func walk(path string, visit func(*tar.Header, io.Reader) error, size func(int64)) error {
	f, err := os.Open(path)
	if err != nil {
		return missing(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return missing(path, err)
	}
	if !info.Mode().IsRegular() {
		return invalid(path, "Cannot read tarball %s: it is no file", path)
	}
	size(info.Size())
	gz, err := gzip.NewReader(bufio.NewReaderSize(f, 256<<10))
	if err != nil {
		return invalid(path, "Cannot read tarball %s: it is no gzip", path)
	}
	tr := tar.NewReader(gz)
	for members := 0; ; members++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return invalid(path, "Cannot read tarball %s: %v", path, err)
		}
		if members >= maxMembers {
			return invalid(path, "it has more than %d members", maxMembers)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if h.Typeflag != tar.TypeReg {
			return invalid(path, "the member %q is no plain file", h.Name)
		}
		if !fs.ValidPath(h.Name) {
			return invalid(path, "the member %q would lie outside of the archive", h.Name)
		}
		if err := visit(h, tr); err != nil {
			var e *messages.Error
			if errors.As(err, &e) {
				return err
			}
			return invalid(path, "Cannot read tarball %s: %v", path, err)
		}
	}
}

func readMember(path string, h *tar.Header, r io.Reader, most int64) ([]byte, error) {
	if h.Size > most {
		return nil, invalid(path, "%s has %d bytes, more than %d", h.Name, h.Size, most)
	}
	return io.ReadAll(io.LimitReader(r, most))
}

// toJSON turns YAML (or JSON, which is YAML) into JSON.
func toJSON(raw []byte) (json.RawMessage, error) {
	var v any
	if err := yaml.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	if _, ok := v.(map[string]any); !ok {
		return nil, errors.New("it is no map")
	}
	return json.Marshal(v)
}

func invalid(path, format string, args ...any) *messages.Error {
	e := messages.Errorf(messages.CodeStemcellInvalid, format, args...)
	return e.WithDetail("stemcell", path).
		WithHint("Stemcell is invalid, please fix, verify and upload again (%s)", path)
}

func missing(path string, err error) *messages.Error {
	return messages.Errorf(messages.CodeStemcellMissing, "Cannot find stemcell file %s: %w", path, err).
		WithHint("give the path of a stemcell's .tgz, or the id of an image that the cloud has")
}
