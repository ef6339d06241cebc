package jobset

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// Switch is one that is under way.
type Switch struct {
	dir    home.Dir
	before Set
	next   Set
}

// Begin remembers what is there. Nothing has changed when it fails.
func Begin(dir home.Dir, next Set) (*Switch, error) {
	if err := home.MkdirAll(dir.Bosh(), dir.Join("monit", "job")); err != nil {
		return nil, err
	}
	if err := errors.Join(home.MkdirOpen(dir.Join("jobs")), home.MkdirOpen(dir.Join("packages"))); err != nil {
		return nil, err
	}
	before, err := now(dir, next.Links)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(before.check(), next.check()); err != nil {
		return nil, err
	}
	if err := home.WriteJSON(journalFile(dir), journal{Before: before}); err != nil {
		return nil, errors.Join(err, forget(dir))
	}
	return &Switch{dir, before, next}, nil
}

// Link makes the links of the new set.
func (s *Switch) Link() error { return putLinks(s.dir, s.next.Links) }

// Supervise replaces the monit files.
func (s *Switch) Supervise() error { return putMonit(s.dir, s.next.Monit) }

// Commit makes the new set the machine's, with its spec. When it fails the
// switch must be undone.
func (s *Switch) Commit(spec any) error {
	raw, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("cannot store the spec: %w", err)
	}
	if err := home.WriteJSON(journalFile(s.dir), journal{Before: s.before, Done: true, Spec: raw}); err != nil {
		return fmt.Errorf("cannot store the spec: %w", err)
	}
	return finish(s.dir, raw)
}

// Undo puts the old set back. When it fails too, Recover tries again.
func (s *Switch) Undo() error {
	if err := home.WriteJSON(journalFile(s.dir), journal{Before: s.before}); err != nil {
		return fmt.Errorf("cannot undo the switch of jobs: %w", err)
	}
	_, err := Recover(s.dir)
	return err
}

// putMonit replaces the folder of monit files in one step, when it differs.
func putMonit(dir home.Dir, files map[string][]byte) error {
	at, beside := dir.Join("monit", "job"), dir.Join("monit", "job-next")
	if err := os.RemoveAll(beside); err != nil {
		return fmt.Errorf("cannot empty %s: %w", beside, err)
	}
	there, err := now(dir, nil)
	if err != nil || same(there.Monit, files) {
		return err
	}
	if err := home.MkdirAll(at, beside); err != nil {
		return err
	}
	for name, text := range files {
		if err := home.WriteFile(dir.Join("monit", "job-next", name), text, 0o600); err != nil {
			return err
		}
	}
	if err := unix.Renameat2(unix.AT_FDCWD, beside, unix.AT_FDCWD, at, unix.RENAME_EXCHANGE); err != nil {
		return fmt.Errorf("cannot replace the monit files: %w", err)
	}
	if err := home.SyncDir(dir.Join("monit")); err != nil {
		return err
	}
	return os.RemoveAll(beside)
}

func same(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for name, text := range a {
		if other, ok := b[name]; !ok || string(other) != string(text) {
			return false
		}
	}
	return true
}
