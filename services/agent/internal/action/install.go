package action

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/microbosh/microbosh/services/agent/internal/blobstore"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// installed is a job template or package in its own folder
// <base>/data/<kind>/<name>/<version>/<digest>, which never changes once it is
// there.
type installed struct {
	name string
	dir  string
}

// folder is where a blob is unpacked. digest is the blob's, or that of the
// archive it was rendered into.
func (d *Dispatcher) folder(kind string, b blob, digest string) (installed, error) {
	name, err := blobstore.DigestName(digest)
	if err != nil {
		return installed{}, err
	}
	version := string(b.Version)
	if version == "" {
		version = "0"
	}
	return installed{b.Name, d.o.Home.Join("data", kind, b.Name, version, name)}, nil
}

func there(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}

func (d *Dispatcher) unpackPackages(ctx context.Context, s spec) ([]installed, error) {
	var all []installed
	for _, name := range slices.Sorted(maps.Keys(s.Packages)) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		p := s.Packages[name]
		at, err := d.folder("packages", p, p.SHA1)
		if err == nil && !there(at.dir) {
			err = d.unpack(ctx, p, at.dir)
		}
		if err != nil {
			return nil, fmt.Errorf("Failed to install package '%s': %w", name, err) //nolint:staticcheck // BOSH's text
		}
		all = append(all, at)
	}
	return all, nil
}

func (d *Dispatcher) unpack(ctx context.Context, b blob, dir string) error {
	if err := home.MkdirOpen(filepath.Dir(dir)); err != nil {
		return err
	}
	return d.o.Blobs.Unpack(ctx, b.source(), dir)
}

// links are <base>/jobs/T, <base>/packages/P and each job's packages/P, by
// their paths below the base folder. A job's link to a package that it has no
// more is "".
func (d *Dispatcher) links(jobs, packages []installed) (map[string]string, error) {
	all := map[string]string{}
	add := func(at installed, path string) error {
		target, err := filepath.Rel(filepath.Dir(d.o.Home.Join(path)), at.dir)
		all[path] = target
		return err
	}
	for _, j := range jobs {
		if err := add(j, filepath.Join("jobs", j.name)); err != nil {
			return nil, fmt.Errorf("cannot link job %s: %w", j.name, err)
		}
		inside, err := filepath.Rel(d.o.Home.Base(), filepath.Join(j.dir, "packages"))
		if err != nil {
			return nil, fmt.Errorf("cannot link the packages of job %s: %w", j.name, err)
		}
		old, err := os.ReadDir(filepath.Join(j.dir, "packages"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot list the packages of job %s: %w", j.name, err)
		}
		for _, link := range old {
			if link.Type()&fs.ModeSymlink != 0 {
				all[filepath.Join(inside, link.Name())] = ""
			}
		}
		for _, p := range packages {
			if err := add(p, filepath.Join(inside, p.name)); err != nil {
				return nil, fmt.Errorf("cannot link package %s: %w", p.name, err)
			}
		}
	}
	for _, p := range packages {
		if err := add(p, filepath.Join("packages", p.name)); err != nil {
			return nil, fmt.Errorf("cannot link package %s: %w", p.name, err)
		}
	}
	return all, nil
}

// removeFolder removes what folder has named, and of version and name what is
// empty then.
func removeFolder(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	version := filepath.Dir(dir)
	_, _ = os.Remove(version), os.Remove(filepath.Dir(version)) // which fails while another is there
	return nil
}

// collect removes jobs and packages that neither the old nor the new spec has.
// The old ones stay for one more apply, as the original keeps them.
func (d *Dispatcher) collect(old spec, jobs, packages []installed) error {
	keep := map[string]bool{}
	for _, at := range slices.Concat(jobs, packages) {
		keep[at.dir] = true
	}
	names := map[string]bool{}
	for _, j := range jobs {
		names["jobs/"+j.name] = true
	}
	for _, p := range packages {
		names["packages/"+p.name] = true
	}
	for _, p := range old.Packages {
		if at, err := d.folder("packages", p, p.SHA1); err == nil {
			keep[at.dir], names["packages/"+p.Name] = true, true
		}
	}
	for _, t := range old.templates() {
		if at, err := d.jobFolder(old, t); err == nil {
			keep[at.dir], names["jobs/"+t.Name] = true, true
		}
	}
	for _, kind := range []string{"jobs", "packages"} {
		folders, err := filepath.Glob(d.o.Home.Join("data", kind, "*", "*", "*"))
		if err != nil {
			return fmt.Errorf("cannot list old %s: %w", kind, err)
		}
		for _, dir := range folders {
			if keep[dir] {
				continue
			}
			if err := removeFolder(dir); err != nil {
				return fmt.Errorf("cannot remove old %s: %w", kind, err)
			}
		}
		links, err := os.ReadDir(d.o.Home.Join(kind))
		if err != nil {
			return fmt.Errorf("cannot list old %s: %w", kind, err)
		}
		for _, link := range links {
			if names[kind+"/"+link.Name()] || link.Type()&fs.ModeSymlink == 0 {
				continue
			}
			if err := os.Remove(d.o.Home.Join(kind, link.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("cannot remove old %s: %w", kind, err)
			}
		}
	}
	return nil
}
