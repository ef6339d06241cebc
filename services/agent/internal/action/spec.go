package action

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"

	"github.com/microbosh/microbosh/services/agent/internal/blobstore"
	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/jobset"
)

// spec is an apply spec: every key as it came, and those that the agent reads.
type spec struct {
	raw map[string]json.RawMessage

	Deployment    string                     `json:"deployment"`
	Name          string                     `json:"name"`
	ID            string                     `json:"id"`
	AZ            string                     `json:"az"`
	Index         *int                       `json:"index"`
	Job           job                        `json:"job"`
	Packages      map[string]blob            `json:"packages"`
	Networks      map[string]json.RawMessage `json:"networks"`
	Configuration json.RawMessage            `json:"configuration_hash"`
	Rendered      *blob                      `json:"rendered_templates_archive"`
	Properties    struct {
		Logging struct {
			MaxLogFileSize string `json:"max_log_file_size"`
		} `json:"logging"`
	} `json:"properties"`
}

// job is the job of a spec; the empty string stands for none.
type job struct {
	blob
	Template  string          `json:"template"`
	Templates []blob          `json:"templates"`
	Logs      json.RawMessage `json:"logs"` // names of patterns for fetch_logs
}

// blob is a job template or package.
type blob struct {
	Name        string  `json:"name"`
	Version     version `json:"version"`
	SHA1        string  `json:"sha1"`
	BlobstoreID string  `json:"blobstore_id"`

	SignedURL string            `json:"signed_url"` // instead of BlobstoreID
	Headers   map[string]string `json:"blobstore_headers"`
}

func (b blob) source() blobstore.Source {
	return blobstore.Source{ID: b.BlobstoreID, URL: b.SignedURL, Headers: b.Headers, Digest: b.SHA1}
}

// version is a string or, in old specs, a number.
type version string

func (v *version) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(v))
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	*v = version(n.String())
	return nil
}

func (j *job) UnmarshalJSON(b []byte) error {
	if string(bytes.TrimSpace(b)) == `""` {
		return nil
	}
	type plain job
	return json.Unmarshal(b, (*plain)(j))
}

// parseSpec reads a spec and checks what becomes a file name.
func parseSpec(data []byte) (spec, error) {
	var s spec
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' {
		return s, errors.New("invalid spec, Hash expected")
	}
	if err := json.Unmarshal(data, &s.raw); err != nil {
		return s, fmt.Errorf("invalid spec: %w", err)
	}
	if n, ok := s.raw["networks"]; ok && string(n) != "null" {
		var networks map[string]json.RawMessage
		if err := json.Unmarshal(n, &networks); err != nil {
			return s, fmt.Errorf("invalid spec: networks: %w", err)
		}
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("invalid spec: %w", err)
	}
	if s.Rendered != nil && s.Rendered.SHA1+s.Rendered.BlobstoreID+s.Rendered.SignedURL == "" {
		s.Rendered = nil // create-env's first spec names an archive without saying which
	}
	return s, nil
}

// templates are the job's templates; the legacy form names one in the job.
func (s spec) templates() []blob {
	if len(s.Job.Templates) == 0 && s.Job.Template != "" {
		t := s.Job.blob
		t.Name = s.Job.Template
		return []blob{t}
	}
	return s.Job.Templates
}

// installs tells whether there is anything to do but to store the spec: the
// key is there and no empty string. An empty hash counts, as apply_spec.yml of
// a stemcell has it.
func (s spec) installs() bool {
	switch string(bytes.TrimSpace(s.Configuration)) {
	case "", "null", `""`:
		return false
	}
	return true
}

var fileName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+~-]{0,127}$`)

// check finds what is missing or not usable, in BOSH's words.
func (b blob) check(what string, stored bool) error {
	var missing string
	for _, f := range []struct{ name, value string }{
		{"name", b.Name}, {"version", string(b.Version)}, {"sha1", b.SHA1}, {"blobstore_id", b.BlobstoreID + b.SignedURL},
	} {
		if f.value == "" && (stored || f.name == "name") {
			if missing != "" {
				missing += ", "
			}
			missing += f.name
		}
	}
	if missing != "" {
		return fmt.Errorf("Invalid %s spec: %s missing", what, missing) //nolint:staticcheck // BOSH's text
	}
	for _, name := range []string{b.Name, string(b.Version)} {
		if name != "" && !fileName.MatchString(name) {
			return fmt.Errorf("Invalid %s spec: %q is not usable as a file name", what, clip(name)) //nolint:staticcheck // BOSH's text
		}
	}
	return nil
}

// current is the spec that was applied last; an empty one before the first.
func (d *Dispatcher) current() (spec, error) {
	data, err := home.ReadFile(jobset.SpecFile(d.o.Home))
	if errors.Is(err, fs.ErrNotExist) {
		return spec{}, nil
	}
	if err != nil {
		return spec{}, fmt.Errorf("cannot read the applied spec: %w", err)
	}
	s, err := parseSpec(data)
	if err != nil {
		return spec{}, fmt.Errorf("cannot read the applied spec %s: %w", jobset.SpecFile(d.o.Home), err)
	}
	return s, nil
}

// check refuses a spec that cannot be installed safely.
func (s spec) check() error {
	if s.Job.Name != "" && !fileName.MatchString(s.Job.Name) {
		return fmt.Errorf("Invalid job spec: %q is not usable as a file name", clip(s.Job.Name)) //nolint:staticcheck // BOSH's text
	}
	if !s.installs() {
		return nil
	}
	return s.checkBlobs()
}

// checkBlobs checks every job and package.
func (s spec) checkBlobs() error {
	if s.Rendered != nil && (s.Rendered.SHA1 == "" || s.Rendered.BlobstoreID+s.Rendered.SignedURL == "") {
		return errors.New("Invalid rendered_templates_archive: sha1 and blobstore_id are needed") //nolint:staticcheck // BOSH's text
	}
	seen := map[string]bool{}
	for _, t := range s.templates() {
		if err := t.check("job", s.Rendered == nil); err != nil {
			return err
		}
		if seen[t.Name] {
			return fmt.Errorf("Invalid job spec: template %s is there twice", t.Name) //nolint:staticcheck // BOSH's text
		}
		seen[t.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(s.Packages)) {
		p := s.Packages[name]
		if err := p.check("package", true); err != nil {
			return err
		}
		if p.Name != name {
			return fmt.Errorf("Invalid package spec: %q is listed as %q", clip(p.Name), clip(name)) //nolint:staticcheck // BOSH's text
		}
	}
	return nil
}
