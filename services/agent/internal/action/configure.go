package action

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// configure runs the jobs' post_install hooks and lays out their monit files,
// the last job first, as the original does. The folder of monit files changes
// in one step.
func (d *Dispatcher) configure(ctx context.Context, s spec, jobs []installed) error {
	now, next := d.o.Home.Join("monit", "job"), d.o.Home.Join("monit", "job-next")
	if err := os.RemoveAll(next); err != nil {
		return fmt.Errorf("cannot empty %s: %w", next, err)
	}
	if err := home.MkdirAll(now, next); err != nil {
		return err
	}
	name := s.Job.Name
	if name == "" {
		name = "job"
	}
	for index := range jobs {
		j := jobs[len(jobs)-1-index]
		if err := d.postInstall(ctx, j); err != nil {
			return err
		}
		if err := monitFiles(j, fmt.Sprintf("%04d_%s.%s", index, name, j.name), next); err != nil {
			return err
		}
	}
	if err := unix.Renameat2(unix.AT_FDCWD, next, unix.AT_FDCWD, now, unix.RENAME_EXCHANGE); err != nil {
		return fmt.Errorf("cannot replace the monit files: %w", err)
	}
	if err := home.SyncDir(d.o.Home.Join("monit")); err != nil {
		return err
	}
	return os.RemoveAll(next)
}

func monitFiles(j installed, prefix, dir string) error {
	more, err := filepath.Glob(filepath.Join(j.dir, "*.monit"))
	if err != nil {
		return fmt.Errorf("cannot list the monit files of %s: %w", j.name, err)
	}
	sort.Strings(more)
	for _, path := range append([]string{filepath.Join(j.dir, "monit")}, more...) {
		text, err := home.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		file := prefix
		if base := filepath.Base(path); base != "monit" {
			file += "_" + strings.TrimSuffix(base, ".monit")
		}
		if err := home.WriteFile(filepath.Join(dir, file+".monitrc"), text, 0o600); err != nil {
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
