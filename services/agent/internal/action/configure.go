package action

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// monitFiles are the jobs' monit files by the name they get, the last job first
// as in the original.
func monitFiles(s spec, jobs []installed) (map[string][]byte, error) {
	name := s.Job.Name
	if name == "" {
		name = "job"
	}
	files := map[string][]byte{}
	for index := range jobs {
		j := jobs[len(jobs)-1-index]
		more, err := filepath.Glob(filepath.Join(j.dir, "*.monit"))
		if err != nil {
			return nil, fmt.Errorf("cannot list the monit files of %s: %w", j.name, err)
		}
		sort.Strings(more)
		for _, path := range append([]string{filepath.Join(j.dir, "monit")}, more...) {
			text, err := home.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			file := fmt.Sprintf("%04d_%s.%s", index, name, j.name)
			if base := filepath.Base(path); base != "monit" {
				file += "_" + strings.TrimSuffix(base, ".monit")
			}
			files[file+".monitrc"] = text
		}
	}
	return files, nil
}

// postInstalls runs the jobs' hooks, the last job first.
func (d *Dispatcher) postInstalls(ctx context.Context, jobs []installed) error {
	for _, j := range slices.Backward(jobs) {
		if err := d.postInstall(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// postInstall runs bin/post_install of a job that has one.
func (d *Dispatcher) postInstall(ctx context.Context, j installed) error {
	hook := d.o.Home.Join("jobs", j.name, "bin", "post_install")
	info, err := os.Stat(hook)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look at the post_install hook of %s: %w", j.name, err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o100 == 0 {
		return fmt.Errorf("`post_install' hook for `%s' job is not an executable file", j.name)
	}
	out, err := script{path: hook}.run(ctx)
	if err != nil {
		return fmt.Errorf("Hook post_install for %s failed (%w): %s", j.name, err, out) //nolint:staticcheck // BOSH's text
	}
	return nil
}
