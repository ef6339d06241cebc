package stemcell

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Where a micro stemcell keeps its own release: the blobstore that its agent
// reads, and the spec that says what is in it.
const (
	microBlobs = "var/vcap/micro_bosh/data/cache"
	microSpec  = "var/vcap/micro/apply_spec.json"
	agentPath  = "var/vcap/bosh/bin/bosh-agent"
)

// Release is what a micro stemcell carries precompiled: jobs and packages, by
// name, each with its files as their archive has them.
type Release struct {
	Job        string // of the spec: what the templates are together
	Version    string
	Jobs       map[string][]File // job.MF, monit, templates/...
	Packages   map[string][]File
	Properties map[string]any
}

// blob is an archive under the name that the spec calls it by.
type blob struct {
	id, sha1 string
	data     []byte
}

func newBlob(files []File) (blob, error) {
	data, err := Archive(files)
	if err != nil {
		return blob{}, err
	}
	sum := sha1.Sum(data)
	digest := hex.EncodeToString(sum[:])
	return blob{id: "blob-" + digest, sha1: digest, data: data}, nil
}

// Files gives what the root of a micro stemcell holds of the release: its blobs
// and its apply spec, which is also given alone.
func (r Release) Files() (files []File, spec json.RawMessage, err error) {
	type m = map[string]any
	add := func(name string, content []File) (m, error) {
		b, err := newBlob(content)
		if err != nil {
			return nil, fmt.Errorf("cannot pack %s: %w", name, err)
		}
		files = append(files, File{Path: microBlobs + "/" + b.id, Mode: 0o644, Data: b.data})
		return m{"name": name, "version": r.Version, "sha1": b.sha1, "blobstore_id": b.id}, nil
	}
	var templates []m
	for _, name := range slices.Sorted(maps.Keys(r.Jobs)) {
		job, err := add(name, r.Jobs[name])
		if err != nil {
			return nil, nil, err
		}
		templates = append(templates, job)
	}
	if len(templates) == 0 {
		return nil, nil, errors.New("cannot make an apply spec without a job")
	}
	packages := m{}
	for _, name := range slices.Sorted(maps.Keys(r.Packages)) {
		if packages[name], err = add(name, r.Packages[name]); err != nil {
			return nil, nil, err
		}
	}
	job := m{"name": r.Job, "version": r.Version, "templates": templates}
	if len(templates) == 1 { // one job of that name: the form of old specs too
		job["template"], job["sha1"], job["blobstore_id"] = templates[0]["name"], templates[0]["sha1"], templates[0]["blobstore_id"]
	}
	spec, err = json.MarshalIndent(m{
		"deployment": "micro", "release": m{"name": "micro", "version": r.Version}, "index": 0, "configuration_hash": m{},
		"networks": m{"type": "dynamic"}, "job": job, "packages": packages, "properties": r.Properties,
	}, "", "  ")
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make the apply spec: %w", err)
	}
	return append(files, File{Path: microSpec, Mode: 0o644, Data: spec}), spec, nil
}
