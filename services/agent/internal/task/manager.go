package task

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// ErrInterrupted is the fate of what ran when the agent was told to stop.
var ErrInterrupted = errors.New("the agent stopped while the task ran")

// ErrCancelled is the fate of what cancel_task ended.
var ErrCancelled = errors.New("the task was cancelled")

// Options of a Manager.
type Options struct {
	Dir   string           // where the files are
	Keep  int              // finished tasks kept, default 200
	Queue int              // tasks that may wait, default 64
	Now   func() time.Time // default time.Now
	NewID func() string    // default a random UUID
	Log   zerolog.Logger
}

// Manager owns the tasks. Its methods may be called from any goroutine.
type Manager struct {
	o     Options
	queue chan *entry

	mu    sync.Mutex // guards what follows and every entry's Task
	tasks map[string]*entry
	steps map[string]*entry // by method and step id
}

type entry struct {
	Task
	work   Work
	ended  chan struct{} // closed when the task has ended
	cancel context.CancelCauseFunc
}

// New reads what earlier processes left.
func New(o Options) (*Manager, error) {
	if o.Keep == 0 {
		o.Keep = 200
	}
	if o.Queue == 0 {
		o.Queue = 64
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = newID
	}
	m := &Manager{o: o, queue: make(chan *entry, o.Queue), tasks: map[string]*entry{}, steps: map[string]*entry{}}
	if err := home.MkdirAll(o.Dir); err != nil {
		return nil, err
	}
	return m, m.load()
}

// Run runs the tasks until ctx ends; the one that runs then is interrupted.
func (m *Manager) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-m.queue:
			if ctx.Err() != nil {
				return nil
			}
			m.run(ctx, e)
		}
	}
}

// Submit records a task and queues it. A request with the step id of an earlier
// one is answered with that one, which runs again only when it was interrupted.
func (m *Manager) Submit(method, stepID string, work Work) (Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.steps[stepKey(method, stepID)]
	switch {
	case stepID == "" || e == nil:
		e = &entry{Task: Task{ID: m.o.NewID(), Method: method, StepID: stepID, Created: m.o.Now().UTC()}}
	case e.State != Interrupted:
		return e.Task, nil
	}
	if len(m.queue) == cap(m.queue) {
		return Task{}, fmt.Errorf("%d tasks wait already", len(m.queue))
	}
	before := e.Task
	e.State, e.Error, e.Value, e.Ended = Queued, "", nil, time.Time{}
	if err := m.save(e); err != nil {
		e.Task = before
		return Task{}, err
	}
	e.work, e.ended = work, make(chan struct{})
	m.tasks[e.ID] = e
	if stepID != "" {
		m.steps[stepKey(method, stepID)] = e
	}
	m.queue <- e // has room: only Submit, under mu, fills it
	return e.Task, nil
}

// Get finds a task.
func (m *Manager) Get(id string) (Task, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.tasks[id]
	if !ok {
		return Task{}, false
	}
	return e.Task, true
}

// Wait returns the task when it has ended or ctx has.
func (m *Manager) Wait(ctx context.Context, id string) (Task, bool) {
	m.mu.Lock()
	e, ok := m.tasks[id]
	if !ok {
		m.mu.Unlock()
		return Task{}, false
	}
	ended := e.ended
	m.mu.Unlock()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return e.Task, true
}

// Cancel ends a task that waits or runs; an ended one stays as it is.
func (m *Manager) Cancel(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.tasks[id]
	switch {
	case !ok:
		return fmt.Errorf("Task with id %s could not be found", id) //nolint:staticcheck // BOSH's text
	case e.State == Queued:
		m.end(e, nil, ErrCancelled)
	case e.State == Running:
		e.cancel(ErrCancelled)
	}
	return nil
}

func (m *Manager) run(ctx context.Context, e *entry) {
	m.mu.Lock()
	if e.State != Queued { // cancelled meanwhile
		m.mu.Unlock()
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.State, e.cancel = Running, cancel
	m.note(e)
	with := m.o.Log.With().Str("op", e.Method).Str("task", e.ID)
	if e.StepID != "" {
		with = with.Str("step", e.StepID)
	}
	log := with.Logger()
	m.mu.Unlock()
	begin := m.o.Now()
	log.Info().Msg("task begins")
	value, err := e.work(ctx)
	var raw json.RawMessage
	if err == nil {
		if raw, err = json.Marshal(value); err != nil {
			err = fmt.Errorf("cannot encode the result: %w", err)
		}
	}
	if err != nil && ctx.Err() != nil {
		if err = context.Cause(ctx); !errors.Is(err, ErrCancelled) {
			err = ErrInterrupted
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	log.Info().Dur("dur", m.o.Now().Sub(begin)).AnErr("err", err).Msg("task ended")
	m.end(e, raw, err)
}

// end is called with mu held.
func (m *Manager) end(e *entry, value json.RawMessage, err error) {
	e.State, e.Value, e.Ended, e.work = Done, value, m.o.Now().UTC(), nil
	switch {
	case errors.Is(err, ErrInterrupted):
		e.State, e.Error, e.Value = Interrupted, err.Error(), nil
	case err != nil:
		e.State, e.Error, e.Value = Failed, err.Error(), nil
	}
	m.note(e)
	close(e.ended)
	m.prune()
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: the runtime ends the program first
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func stepKey(method, stepID string) string { return method + "\x00" + stepID }
