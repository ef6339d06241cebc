package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// Options of Builtin.
type Options struct {
	Home     home.Dir
	Listener Listener
	Now      func() time.Time // default time.Now
	Log      zerolog.Logger
}

// Builtin is the driver without monit.
type Builtin struct {
	o        Options
	begun    chan struct{} // closed when Run has begun
	watchers sync.WaitGroup

	change sync.Mutex // held by Reload, Start, Stop and Unmonitor: one at a time

	mu      sync.Mutex // guards what follows and every unit
	life    context.Context
	units   map[string]*unit
	stopped bool
	told    string // the last job state that the listener heard
}

// unit is a service and what is known of its process.
type unit struct {
	service
	wanted bool
	state  string
	known  known
	since  time.Time
	cancel context.CancelFunc
	done   chan struct{} // closed when its keeper has ended; nil without one
}

// known is a process that was seen, to tell it from a later one with its pid.
type known struct {
	PID   int    `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"`
}

// memory is the content of supervisor.json.
type memory struct {
	Stopped  bool                     `json:"stopped"`
	Services map[string]memoryService `json:"services"`
}

type memoryService struct {
	Wanted bool `json:"wanted"`
	known
}

const (
	unmonitored = "unmonitored"
	stopping    = "stopping"
)

var _ Supervisor = (*Builtin)(nil)

// NewBuiltin reads the monit files and what an earlier process remembered.
func NewBuiltin(o Options) (*Builtin, error) {
	if o.Listener == nil {
		return nil, errors.New("cannot supervise: a listener is needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	b := &Builtin{o: o, begun: make(chan struct{}), units: map[string]*unit{}}
	services, err := b.read()
	if err != nil {
		return nil, err
	}
	var m memory
	switch err := home.ReadJSON(b.memoryFile(), &m); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	}
	b.stopped = m.Stopped
	for _, s := range services {
		remembered := m.Services[s.Name]
		u := &unit{service: s, wanted: remembered.Wanted, known: remembered.known, state: Stopped}
		if p := b.living(s.PIDFile, u.known); p != nil {
			u.state = unmonitored
			p.close()
		}
		b.units[s.Name] = u
	}
	b.told = b.jobState()
	return b, nil
}

func (b *Builtin) memoryFile() string { return b.o.Home.Bosh("supervisor.json") }

// Run takes up what should run and watches until ctx ends. Processes stay.
func (b *Builtin) Run(ctx context.Context) error {
	b.mu.Lock()
	b.life = ctx
	for _, u := range b.units {
		if u.wanted {
			b.keep(u, nil)
		}
	}
	b.mu.Unlock()
	close(b.begun)
	<-ctx.Done()
	b.watchers.Wait()
	return nil
}

var serviceName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

// read parses every monit file, in the order of their names.
func (b *Builtin) read() ([]service, error) {
	files, err := filepath.Glob(b.o.Home.Join("monit", "job", "*.monitrc"))
	if err != nil {
		return nil, fmt.Errorf("cannot list the monit files: %w", err)
	}
	sort.Strings(files)
	var all []service
	seen := map[string]string{}
	for _, file := range files {
		text, err := home.ReadFile(file)
		if err != nil {
			return nil, err
		}
		services, skipped, err := parseMonitrc(string(text))
		if err != nil {
			return nil, fmt.Errorf("cannot read the monit file %s: %w", filepath.Base(file), err)
		}
		if len(skipped) > 0 {
			b.o.Log.Info().Str("file", filepath.Base(file)).Strs("skipped", skipped).Msg("statements that the builtin supervisor does not support are skipped")
		}
		for _, s := range services {
			if !serviceName.MatchString(s.Name) {
				return nil, fmt.Errorf("cannot read the monit file %s: the name %q is not usable", filepath.Base(file), s.Name)
			}
			if other, ok := seen[s.Name]; ok {
				return nil, fmt.Errorf("cannot read the monit file %s: process %s is in %s already", filepath.Base(file), s.Name, other)
			}
			seen[s.Name] = filepath.Base(file)
			all = append(all, b.placed(s))
		}
	}
	return all, nil
}

// placed finds the paths of a monit file below the base folder.
func (b *Builtin) placed(s service) service {
	place := func(c command) command {
		for i, arg := range c.Args {
			if strings.HasPrefix(arg, home.VarVcap+"/") {
				c.Args[i] = b.o.Home.Place(arg)
			}
		}
		return c
	}
	s.PIDFile, s.Start, s.Stop = b.o.Home.Place(s.PIDFile), place(s.Start), place(s.Stop)
	return s
}

// save remembers; it is called with mu held.
func (b *Builtin) save() error {
	m := memory{Stopped: b.stopped, Services: map[string]memoryService{}}
	for name, u := range b.units {
		m.Services[name] = memoryService{Wanted: u.wanted, known: u.known}
	}
	return home.WriteJSON(b.memoryFile(), m)
}

// set changes a unit's state and tells when the job's changes with it; it is
// called with mu held.
func (b *Builtin) set(u *unit, state string) {
	if u.state == state {
		return
	}
	u.state = state
	b.tell()
}

func (b *Builtin) tell() {
	if now := b.jobState(); now != b.told {
		b.o.Log.Info().Str("before", b.told).Str("now", now).Msg("job state changed")
		b.told = now
		b.o.Listener.StateChanged(now)
	}
}

// jobState is BOSH's: starting before failing, running when nothing is wrong.
// While processes are being stopped it stays what it was.
func (b *Builtin) jobState() string {
	wanted, state := 0, Running
	for _, u := range b.units {
		if u.state == stopping {
			return b.told
		}
		if !u.wanted {
			continue
		}
		wanted++
		switch {
		case u.state == Starting:
			state = Starting
		case u.state != Running && state != Starting:
			state = Failing
		}
	}
	if wanted == 0 && (b.stopped || len(b.units) > 0) {
		return Stopped
	}
	return state
}

// Status tells the job's and every process's state.
func (b *Builtin) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	status := Status{JobState: b.jobState(), Processes: []Process{}}
	for name, u := range b.units {
		p := Process{Name: name, State: u.state}
		if u.state == Running {
			p.Uptime = &struct {
				Secs int64 `json:"secs"`
			}{int64(b.o.Now().Sub(u.since).Seconds())}
		}
		status.Processes = append(status.Processes, p)
	}
	sort.Slice(status.Processes, func(i, j int) bool { return status.Processes[i].Name < status.Processes[j].Name })
	return status
}

// living opens the process that a pid file names, unless its pid is known to
// have belonged to another one.
func (b *Builtin) living(pidFile string, k known) *process {
	p, err := open(readPID(pidFile))
	if err != nil {
		return nil
	}
	if p.pid == k.PID && p.start != k.Start {
		p.close()
		return nil
	}
	return p
}

// logFile is where a program's own words go.
func (b *Builtin) logFile(name string) (*os.File, error) {
	dir := b.o.Home.Join("sys", "log", name)
	if err := home.MkdirAll(dir); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, "ctl.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}
