package task

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

func (m *Manager) path(id string) string { return filepath.Join(m.o.Dir, id+".json") }

// save is called with mu held.
func (m *Manager) save(e *entry) error { return home.WriteJSON(m.path(e.ID), e.Task) }

// note saves a task that was accepted. On a full disk the agent goes on: what is
// not recorded as ended counts as interrupted after a restart, which is what
// whoever asks then can be told. It is called with mu held.
func (m *Manager) note(e *entry) {
	if err := m.save(e); err != nil {
		m.o.Log.Warn().AnErr("err", err).Str("task", e.ID).Str("state", string(e.State)).Msg("a task's state is not recorded; free some space below the agent's folder")
	}
}

// load reads the folder. A file that cannot be read is set aside, so that one
// bad file does not keep the agent from starting.
func (m *Manager) load() error {
	files, err := os.ReadDir(m.o.Dir)
	if err != nil {
		return fmt.Errorf("cannot read the tasks: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, file := range files {
		id, ok := strings.CutSuffix(file.Name(), ".json")
		if !ok || strings.HasPrefix(id, ".") {
			if strings.HasPrefix(file.Name(), ".") { // what a killed writer left
				_ = os.Remove(filepath.Join(m.o.Dir, file.Name()))
			}
			continue
		}
		e := &entry{ended: make(chan struct{})}
		if err := home.ReadJSON(m.path(id), &e.Task); err != nil || e.ID != id {
			m.o.Log.Warn().AnErr("err", err).Str("task", id).Msg("a task's file cannot be read and is set aside")
			if err := os.Rename(m.path(id), m.path(id)+".unreadable"); err != nil {
				return fmt.Errorf("cannot set aside the task %s: %w", id, err)
			}
			continue
		}
		if !e.State.Ended() {
			e.State, e.Error = Interrupted, ErrInterrupted.Error()
			e.Ended = m.o.Now().UTC()
			m.note(e)
		}
		close(e.ended)
		m.tasks[e.ID] = e
		if e.StepID != "" {
			m.steps[stepKey(e.Method, e.StepID)] = e
		}
	}
	m.prune()
	return nil
}

// prune forgets the oldest finished tasks; it is called with mu held.
func (m *Manager) prune() {
	var ended []*entry
	for _, e := range m.tasks {
		if e.State.Ended() {
			ended = append(ended, e)
		}
	}
	if len(ended) <= m.o.Keep {
		return
	}
	sort.Slice(ended, func(i, j int) bool { return ended[i].Ended.Before(ended[j].Ended) })
	for _, e := range ended[:len(ended)-m.o.Keep] {
		if err := os.Remove(m.path(e.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			m.o.Log.Warn().AnErr("err", err).Str("task", e.ID).Msg("an old task's file cannot be removed")
			continue
		}
		delete(m.tasks, e.ID)
		if m.steps[stepKey(e.Method, e.StepID)] == e {
			delete(m.steps, stepKey(e.Method, e.StepID))
		}
	}
}
