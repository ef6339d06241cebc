package stemcell

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Job is a job of a release as its archive has it.
type Job struct {
	Monit     []byte        // nil when there is none
	Templates []JobTemplate // by source
}

// JobTemplate is a file that the job's manifest wants at Target.
type JobTemplate struct {
	Source, Target string
	Text           []byte
}

// What a job's archive may hold.
const (
	maxJobFile  = 8 << 20
	maxJobFiles = 10_000
)

// ReadJob reads a job's archive, which is a tar.gz.
func ReadJob(from io.Reader) (*Job, error) {
	files, err := jobFiles(from)
	if err != nil {
		return nil, fmt.Errorf("cannot read the job: %w", err)
	}
	text, ok := files["job.MF"]
	if !ok {
		return nil, errors.New("cannot find job manifest job.MF")
	}
	var manifest struct {
		Templates map[string]string `yaml:"templates"`
	}
	if err := yaml.Unmarshal(text, &manifest); err != nil {
		return nil, fmt.Errorf("malformed job manifest job.MF: %w", err)
	}
	job := &Job{Monit: files["monit"]}
	for source, target := range manifest.Templates {
		text, ok := files["templates/"+path.Clean(source)]
		if !ok {
			return nil, fmt.Errorf("template '%s' doesn't exist", source)
		}
		if !filepath.IsLocal(target) {
			return nil, fmt.Errorf("template '%s' leads out of the job", target)
		}
		job.Templates = append(job.Templates, JobTemplate{source, path.Clean(target), text})
	}
	slices.SortFunc(job.Templates, func(a, b JobTemplate) int { return strings.Compare(a.Source, b.Source) })
	return job, nil
}

func jobFiles(from io.Reader) (map[string][]byte, error) {
	zip, err := gzip.NewReader(from)
	if err != nil {
		return nil, err
	}
	defer zip.Close()
	files := map[string][]byte{}
	left := int64(maxJobFile * 8)
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if left -= max(h.Size, 0); h.Size > maxJobFile || left < 0 || len(files) >= maxJobFiles {
			return nil, errors.New("it is larger than a job may be")
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		files[path.Clean(h.Name)] = text
	}
}
