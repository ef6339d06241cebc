package supervisor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/microbosh/microbosh/pkg/poll"
)

// monit tells nothing by itself, so it is asked: often while something is
// waited for, else once a cycle.
const (
	askPause    = 100 * time.Millisecond
	reloadLimit = 5 * time.Minute
	reloadAgain = 1100 * time.Millisecond // an incarnation is a second
	startLimit  = 5 * time.Minute
)

// until asks monit until what it says is so. A monit that does not answer yet
// is asked again.
func (m *Monit) until(ctx context.Context, limit time.Duration, what string, so func(monitStatus) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s: not after %s", what, limit))
	defer cancel()
	for {
		s, err := m.api.status(ctx)
		if err == nil && so(s) {
			return nil
		}
		if poll.Pause(ctx, askPause) != nil {
			return context.Cause(ctx)
		}
	}
}

// refresh has monit read its files again.
func (m *Monit) refresh(ctx context.Context) error {
	var before monitStatus
	if err := m.until(ctx, reloadLimit, "monit does not answer", func(s monitStatus) bool { before = s; return true }); err != nil {
		return err
	}
	asked := time.Time{}
	err := m.until(ctx, reloadLimit, "Failed to get updated incarnation from Monit", func(s monitStatus) bool {
		if s.Incarnation != before.Incarnation {
			return true
		}
		if time.Since(asked) > reloadAgain {
			asked = time.Now()
			m.mu.Lock()
			process := m.process
			m.mu.Unlock()
			if process != nil {
				_ = process.Signal(syscall.SIGHUP)
			}
		}
		return false
	})
	return err
}

// Reload gives monit the new files of what should run. What is new waits for
// Start, and what is gone is left alone.
func (m *Monit) Reload(ctx context.Context) error {
	m.change.Lock()
	defer m.change.Unlock()
	if _, err := m.services(nil); err != nil {
		return err
	}
	if err := m.place(); err != nil {
		return err
	}
	return m.refresh(ctx)
}

// Start has monit start everything and waits until it all runs.
func (m *Monit) Start(ctx context.Context) error {
	m.change.Lock()
	defer m.change.Unlock()
	files, err := m.files()
	if err != nil {
		return err
	}
	wanted, err := m.services(nil)
	if err != nil {
		return err
	}
	if err := m.want(slices.Collect(maps.Keys(files))); err != nil {
		return err
	}
	if err := m.refresh(ctx); err != nil {
		return err
	}
	m.look(ctx)
	return m.startAll(ctx, wanted)
}

func (m *Monit) startAll(ctx context.Context, wanted []service) error {
	limit := startLimit
	for _, s := range wanted {
		if err := m.act(ctx, s.Name, "start"); err != nil {
			return err
		}
		limit = max(limit, s.Start.Timeout+startLimit)
	}
	var missing []string
	err := m.until(ctx, limit, "processes do not run", func(s monitStatus) bool {
		known := s.vcap()
		missing = missing[:0]
		failed := false
		for _, w := range wanted {
			now, ok := known[w.Name]
			if !ok && w.Group != "vcap" {
				continue
			}
			if !ok || now.Monitor != 1 || now.Status != 0 || now.Pending != 0 || now.PID == 0 {
				missing = append(missing, w.Name)
				failed = failed || now.Status&executionFailed != 0
			}
		}
		return len(missing) == 0 || failed
	})
	m.look(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s", err, strings.Join(missing, ", "))
	case len(missing) > 0:
		return fmt.Errorf("process %s: its program failed, monit tries on", strings.Join(missing, ", "))
	}
	return nil
}

// executionFailed is monit's event of a program that did not do what it should.
const executionFailed = 0x100000

// act repeats while monit is busy.
func (m *Monit) act(ctx context.Context, name, action string) error {
	const tries = 20
	var err error
	for range tries {
		if err = m.api.act(ctx, name, action); err == nil || poll.Pause(ctx, askPause) != nil {
			return err
		}
	}
	return err
}

// Stop has monit stop everything, waits until the processes are gone and takes
// their files away from it.
func (m *Monit) Stop(ctx context.Context) error {
	m.change.Lock()
	defer m.change.Unlock()
	m.mu.Lock()
	wanted := maps.Clone(m.wanted)
	m.mu.Unlock()
	services, err := m.services(wanted)
	if err != nil {
		return err
	}
	said, err := m.api.status(ctx)
	if err != nil {
		return err
	}
	known := said.vcap()
	limit := startLimit
	for _, s := range services {
		if known[s.Name].Monitor == 0 {
			// monit calls a process that it does not watch stopped, and does nothing.
			if err := m.own().end(ctx, &unit{service: m.own().placed(s)}); err != nil {
				return fmt.Errorf("process %s: %w", s.Name, err)
			}
			continue
		}
		if err := m.act(ctx, s.Name, "stop"); err != nil {
			return err
		}
		limit = max(limit, s.Stop.Timeout+startLimit)
	}
	var left []string
	err = m.until(ctx, limit, "processes do not stop", func(said monitStatus) bool {
		for _, known := range said.vcap() {
			if known.Monitor != 0 || known.Pending != 0 {
				return false
			}
		}
		left = left[:0]
		for _, s := range services { // monit says nothing of what it did not watch
			if p, err := open(readPID(s.PIDFile)); err == nil {
				p.close()
				left = append(left, s.Name)
			}
		}
		return len(left) == 0
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.Join(left, ", "))
	}
	if err := m.want([]string{}); err != nil {
		return err
	}
	err = m.refresh(ctx)
	m.look(ctx)
	return err
}

// own is the other driver's way to end a process.
func (m *Monit) own() *Builtin { return &Builtin{o: Options{Home: m.o.Home, Log: m.o.Log}} }

// Unmonitor leaves the processes alone, as drain scripts may end them.
func (m *Monit) Unmonitor(ctx context.Context) error {
	m.change.Lock()
	defer m.change.Unlock()
	s, err := m.api.status(ctx)
	if err != nil {
		return err
	}
	for name := range s.vcap() {
		if err := m.act(ctx, name, "unmonitor"); err != nil {
			return err
		}
	}
	return m.until(ctx, startLimit, "processes are still monitored", func(s monitStatus) bool {
		for _, known := range s.vcap() {
			if known.Monitor != 0 {
				return false
			}
		}
		return true
	})
}

// watch tells what changes, until ctx ends.
func (m *Monit) watch(ctx context.Context) {
	for poll.Pause(ctx, m.o.Cycle) == nil {
		m.look(ctx)
	}
}

func (m *Monit) look(ctx context.Context) {
	now := m.statusWithin(ctx).JobState
	m.mu.Lock()
	before := m.told
	m.told = now
	m.mu.Unlock()
	if now != before {
		m.o.Log.Info().Str("before", before).Str("now", now).Msg("job state changed")
		m.o.Listener.StateChanged(now)
	}
}

// Status is what monit says now; unknown when it does not answer.
func (m *Monit) Status() Status { return m.statusWithin(context.Background()) }

func (m *Monit) statusWithin(ctx context.Context) Status {
	status := Status{JobState: Running, Processes: []Process{}}
	m.mu.Lock()
	wanted := maps.Clone(m.wanted)
	m.mu.Unlock()
	services, err := m.services(nil)
	if err != nil {
		status.JobState = Unknown
		return status
	}
	if len(wanted) == 0 {
		if len(services) > 0 {
			status.JobState = Stopped
		}
		for _, s := range services {
			status.Processes = append(status.Processes, Process{Name: s.Name, State: Stopped})
		}
		return status
	}
	said, err := m.api.status(ctx)
	if err != nil {
		m.o.Log.Warn().AnErr("err", err).Msg("monit does not answer")
		status.JobState = Unknown
		return status
	}
	known := said.vcap()
	for _, name := range slices.Sorted(maps.Keys(known)) {
		s := known[name]
		p := Process{Name: name, State: s.state()}
		if p.State == Running {
			p.Uptime = &struct {
				Secs int64 `json:"secs"`
			}{s.Uptime}
		}
		switch {
		case p.State == Starting:
			status.JobState = Starting
		case p.State != Running && status.JobState != Starting:
			status.JobState = Failing
		}
		status.Processes = append(status.Processes, p)
	}
	return status
}

func (s monitService) state() string {
	switch {
	case s.Monitor == 2 || s.Pending != 0:
		return Starting
	case s.Monitor == 0:
		return unmonitored
	case s.Status == 0:
		return Running
	default:
		return Failing
	}
}
