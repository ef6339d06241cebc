package render

import (
	"crypto/sha1" //nolint:gosec // BOSH's digests of 2014
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
)

// Template is an entry of a spec's job.templates.
type Template struct {
	Name        string `json:"name"`
	SHA1        string `json:"sha1"`
	BlobstoreID string `json:"blobstore_id"`
}

// Templates are those that can be rendered; none when the spec has the old
// form, which the agent renders.
func Templates(spec map[string]any) ([]Template, error) {
	raw, err := json.Marshal(asMap(spec["job"])["templates"])
	if err != nil {
		return nil, err
	}
	var all []Template
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, messages.Errorf(messages.CodeStemcellInvalid, "the apply spec's job.templates is no list of templates")
	}
	for _, t := range all {
		if t.Name == "" || t.Name != path.Base(t.Name) || t.Name == ".." || t.SHA1 == "" || t.BlobstoreID == "" {
			return nil, messages.Errorf(messages.CodeStemcellInvalid, "the apply spec's template %q needs name, sha1 and blobstore_id", t.Name)
		}
	}
	slices.SortFunc(all, func(a, b Template) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Archive is what a VM gets instead of templates.
type Archive struct {
	Data              []byte
	BlobstoreID       string
	SHA1              string
	ConfigurationHash string
}

// Pack lays rendered jobs out as ./<template>/monit and ./<template>/<target>,
// and computes BOSH's configuration_hash: for each template by name the digest
// gets, after each file, the monit file and all files so far. The same jobs
// make the same archive under the same id.
func Pack(jobs map[string]*stemcell.Job) (*Archive, error) {
	var files []stemcell.File
	hash := sha1.New() //nolint:gosec // see above
	names := make([]string, 0, len(jobs))
	for name := range jobs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		job := jobs[name]
		files = append(files, stemcell.File{Path: name + "/monit", Mode: 0o640, Data: job.Monit})
		buffer := slices.Clone(job.Monit)
		for _, t := range job.Templates {
			mode := int64(0o640)
			if path.Base(path.Dir(t.Target)) == "bin" {
				mode = 0o750
			}
			files = append(files, stemcell.File{Path: name + "/" + t.Target, Mode: mode, Data: t.Text})
			buffer = append(buffer, t.Text...)
			hash.Write(buffer)
		}
	}
	data, err := stemcell.Archive(files)
	if err != nil {
		return nil, fmt.Errorf("cannot pack the rendered templates: %w", err)
	}
	sum := sha1.Sum(data) //nolint:gosec // see above
	digest := hex.EncodeToString(sum[:])
	return &Archive{Data: data, BlobstoreID: "rendered-" + digest, SHA1: digest, ConfigurationHash: hex.EncodeToString(hash.Sum(nil))}, nil
}

// Add makes the spec one whose templates are rendered.
func (a *Archive) Add(spec map[string]any) {
	spec["rendered_templates_archive"] = map[string]any{"blobstore_id": a.BlobstoreID, "sha1": a.SHA1}
	spec["configuration_hash"] = a.ConfigurationHash
}
