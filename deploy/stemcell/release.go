package stemcell

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/microbosh/microbosh/pkg/stemcell"
)

// release holds the jobs of the micro release, and what all of them share.
//
//go:embed release
var release embed.FS

// Release is the micro release: a job each for the bus, the registry, the
// orchestrator, the CPI and the Director's door, out of the programs in a folder.
func Release(version, programs string) (stemcell.Release, error) {
	type m = map[string]any
	r := stemcell.Release{
		Job: "micro", Version: version, Jobs: map[string][]stemcell.File{}, Packages: map[string][]stemcell.File{},
		Properties: m{
			"micro":     true,
			"nats":      m{"address": "127.0.0.1", "port": 4222},
			"blobstore": m{"address": "127.0.0.1"},
			"director":  m{"address": "127.0.0.1", "name": "micro", "port": 25555},
			"registry":  m{"address": "127.0.0.1", "http": m{"port": 25777}},
		},
	}
	for _, name := range []string{"microbosh", "microbosh-registry", "microbosh-cpi-openstack"} {
		r.Packages[name] = stemcell.Programs(filepath.Join(programs, name))
	}
	jobs, err := fs.ReadDir(release, "release/jobs")
	if err != nil {
		return r, err
	}
	for _, job := range jobs {
		if r.Jobs[job.Name()], err = jobFiles(job.Name()); err != nil {
			return r, fmt.Errorf("cannot read the job %s: %w", job.Name(), err)
		}
	}
	return r, nil
}

// jobFiles are a job's own files with the shared ones beside them.
func jobFiles(name string) ([]stemcell.File, error) {
	var files []stemcell.File
	add := func(source, target string) error {
		data, err := release.ReadFile(source)
		if err == nil {
			text := strings.ReplaceAll(string(data), "NAME", name)
			files = append(files, stemcell.File{Path: target, Mode: 0o644, Data: []byte(text)})
		}
		return err
	}
	for _, shared := range [][2]string{
		{"monit", "monit"}, {"ctl", "templates/ctl"}, {"drain", "templates/drain"}, {"pre-start", "templates/pre-start"}, {"environment", "templates/environment"},
	} {
		if err := add("release/"+shared[0], shared[1]); err != nil {
			return nil, err
		}
	}
	dir := path.Join("release/jobs", name)
	err := fs.WalkDir(release, dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return add(path, strings.TrimPrefix(path, dir+"/"))
	})
	return files, err
}
