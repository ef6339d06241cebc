package jobset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// Set is what a spec installs beside its unpacked folders.
type Set struct {
	Links map[string]string `json:"links"` // targets by the path below the base folder; "" where there is none
	Monit map[string][]byte `json:"monit"` // content by the name of the file in monit/job
}

// journal is <base>/bosh/switch.json.
type journal struct {
	Before Set             `json:"before"`
	Done   bool            `json:"done"`
	Spec   json.RawMessage `json:"spec,omitempty"` // when it is done: the applied one
}

// maxMonit bounds the monit files of a set, which the journal holds twice over
// in base64.
const maxMonit = 4 << 20

func journalFile(dir home.Dir) string { return dir.Bosh("switch.json") }

// SpecFile is where the applied spec is kept.
func SpecFile(dir home.Dir) string { return dir.Bosh("spec.json") }

// Recover ends a switch that was interrupted: with the old set before its
// commit, with the new one after. It is called before anything reads the set.
func Recover(dir home.Dir) (undone bool, err error) {
	var j journal
	err = home.ReadJSON(journalFile(dir), &j)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot recover from an interrupted apply: %w", err)
	}
	if j.Done {
		return false, finish(dir, j.Spec)
	}
	if err := put(dir, j.Before); err != nil {
		return false, fmt.Errorf("cannot put the jobs back to what they were before an interrupted apply: %w", err)
	}
	return true, forget(dir)
}

func finish(dir home.Dir, spec json.RawMessage) error {
	if err := Store(dir, spec); err != nil {
		return err
	}
	return forget(dir)
}

func forget(dir home.Dir) error {
	if err := os.Remove(journalFile(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot end the switch of jobs: %w", err)
	}
	return home.SyncDir(dir.Bosh())
}

// now is what is there of the paths and in monit/job.
func now(dir home.Dir, paths map[string]string) (Set, error) {
	s := Set{Links: map[string]string{}, Monit: map[string][]byte{}}
	for path := range paths {
		target, err := os.Readlink(dir.Join(path))
		switch {
		case err == nil:
			s.Links[path] = target
		case errors.Is(err, fs.ErrNotExist):
			s.Links[path] = ""
		default:
			return s, fmt.Errorf("cannot link %s: it is there and no symlink", dir.Join(path))
		}
	}
	files, err := filepath.Glob(dir.Join("monit", "job", "*.monitrc"))
	if err != nil {
		return s, fmt.Errorf("cannot list the monit files: %w", err)
	}
	for _, file := range files {
		if s.Monit[filepath.Base(file)], err = home.ReadFile(file); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s Set) check() error {
	size := 0
	for _, text := range s.Monit {
		size += len(text)
	}
	if size > maxMonit {
		return fmt.Errorf("the jobs' monit files have %d bytes, at most %d are taken", size, maxMonit)
	}
	return nil
}

// put makes the machine hold the set. It may be repeated.
func put(dir home.Dir, s Set) error {
	if err := putLinks(dir, s.Links); err != nil {
		return err
	}
	return putMonit(dir, s.Monit)
}

func putLinks(dir home.Dir, links map[string]string) error {
	folders := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(links)) {
		at := dir.Join(path)
		var err error
		if links[path] == "" {
			if err = os.Remove(at); errors.Is(err, fs.ErrNotExist) {
				continue
			}
		} else {
			err = home.Link(links[path], at)
		}
		if err != nil {
			return fmt.Errorf("cannot change the link %s: %w", at, err)
		}
		folders[filepath.Dir(at)] = true
	}
	for folder := range folders {
		if err := home.SyncDir(folder); err != nil {
			return err
		}
	}
	return nil
}
