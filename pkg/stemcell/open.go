package stemcell

import (
	"archive/tar"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
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

// Bounds on the two members that are held in memory.
const (
	maxManifest = 1 << 20
	maxSpec     = 4 << 20
)

var sha1Pattern = regexp.MustCompile(`^[0-9a-fA-F]{40}$`)

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

	bare    bool                                // Path is the member image itself
	carried func(context.Context) io.ReadCloser // the member image from elsewhere, bare; nil = from Path
}

// mf is stemcell.MF. The nodes keep a version of 3.10 from becoming 3.1.
type mf struct {
	Name            yaml.Node `yaml:"name"`
	Version         yaml.Node `yaml:"version"`
	APIVersion      int       `yaml:"api_version"`
	SHA1            string    `yaml:"sha1"`
	Formats         []string  `yaml:"stemcell_formats"`
	CloudProperties yaml.Node `yaml:"cloud_properties"`
}

// Open reads the archive once, from beginning to end, and verifies it: its
// members, their names, the manifest, and the image's sha1. Errors have code
// stemcell_missing or stemcell_invalid.
func Open(path string) (*Stemcell, error) { return OpenAt(context.Background(), path) }

// OpenAt is Open of a path or an http(s) URL.
func OpenAt(ctx context.Context, path string) (*Stemcell, error) {
	s := &Stemcell{Path: path}
	var manifest, spec []byte
	var digest string
	size, err := walk(ctx, path, func(name string, h *tar.Header, r io.Reader) error {
		var err error
		switch name {
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
	})
	if err != nil {
		return nil, err
	}
	s.Size = size
	if manifest == nil {
		return nil, invalid(path, "Cannot find stemcell manifest").WithHint("%s holds no stemcell.MF, so it is no stemcell", path)
	}
	if digest == "" {
		return nil, invalid(path, "Stemcell image file is missing")
	}
	if err := s.readManifest(manifest); err != nil {
		return nil, err
	}
	if digest != s.SHA1 {
		return nil, invalid(path, "the image's sha1 is %s, stemcell.MF says %s", digest, s.SHA1).
			WithHint("%s was cut or changed; download or build it again", path)
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
		return invalid(s.Path, "stemcell.MF cannot be read: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	name, version := scalar(m.Name, "!!str"), scalar(m.Version, "!!str", "!!int", "!!float")
	var properties map[string]any
	// A null is none; anything but a map is refused.
	if m.CloudProperties.Kind != 0 && m.CloudProperties.Decode(&properties) != nil || name == "" || version == "" {
		return invalid(s.Path, "Manifest should contain valid name, version and cloud properties")
	}
	if _, err := json.Marshal(properties); err != nil {
		return invalid(s.Path, "stemcell.MF: cloud_properties hold what no message can carry")
	}
	if m.SHA1 == "" {
		return invalid(s.Path, "sha1 must not be nil")
	}
	if !sha1Pattern.MatchString(m.SHA1) {
		return invalid(s.Path, "the sha1 in stemcell.MF is no sha1: %.60q", m.SHA1)
	}
	s.Name, s.Version, s.APIVersion, s.SHA1 = name, version, m.APIVersion, strings.ToLower(m.SHA1)
	s.CloudProperties, s.Formats = properties, m.Formats
	return nil
}

// scalar is a node's text when it has one of the tags.
func scalar(n yaml.Node, tags ...string) string {
	for _, tag := range tags {
		if n.Kind == yaml.ScalarNode && n.ShortTag() == tag {
			return n.Value
		}
	}
	return ""
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
	out, err := json.Marshal(v)
	if len(out) > maxSpec {
		return nil, fmt.Errorf("it unfolds to %d bytes, more than %d", len(out), maxSpec)
	}
	return out, err
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
