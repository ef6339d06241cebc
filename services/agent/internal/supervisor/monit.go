package supervisor

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/poll"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// MonitOptions of a Monit.
type MonitOptions struct {
	Home     home.Dir
	Listener Listener
	Program  string        // default: what monit is in the PATH or <base>/bosh/bin
	Port     int           // of its HTTP API on 127.0.0.1; 0: a free one
	Cycle    time.Duration // how often monit looks, default 10s
	Mail     Mail          // where it sends its alerts; zero: nowhere
	Log      zerolog.Logger
}

// Mail is the agent's receiver of monit's alerts.
type Mail struct {
	Port           int
	User, Password string
}

// Monit is the driver that has monit keep the processes. monit is given only
// the files of what should run: with files of all it would start what was not
// asked for.
type Monit struct {
	o   MonitOptions
	api *monitAPI

	change sync.Mutex // held by Reload, Start, Stop and Unmonitor: one at a time

	mu      sync.Mutex // guards what follows
	process *os.Process
	wanted  map[string]bool // files
	told    string
	begun   chan struct{} // closed when monit answers for the first time
}

var _ Supervisor = (*Monit)(nil)

// NewMonit writes monit's own files; Run starts it.
func NewMonit(o MonitOptions) (*Monit, error) {
	if o.Listener == nil {
		return nil, errors.New("cannot supervise: a listener is needed")
	}
	if o.Program == "" {
		path, err := exec.LookPath(o.Home.Bosh("bin", "monit"))
		if err != nil {
			path, err = exec.LookPath("monit")
		}
		if err != nil {
			return nil, errors.New("cannot supervise with monit: it is not installed; -M builtin does without")
		}
		o.Program = path
	}
	if o.Cycle == 0 {
		o.Cycle = 10 * time.Second
	}
	m := &Monit{o: o, begun: make(chan struct{}), wanted: map[string]bool{}, told: Stopped}
	var wanted []string
	if err := home.ReadJSON(m.wantedFile(), &wanted); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, name := range wanted {
		m.wanted[name] = true
	}
	return m, m.write()
}

func (m *Monit) wantedFile() string { return m.o.Home.Join("monit", "wanted.json") }
func (m *Monit) rcFile() string     { return m.o.Home.Bosh("etc", "monitrc") }
func (m *Monit) placedDir() string  { return m.o.Home.Join("monit", "placed") }

// write makes monitrc, the password of the HTTP API (a new one at each start)
// and the files of what should run.
func (m *Monit) write() error {
	if m.o.Port == 0 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("cannot find a port for monit: %w", err)
		}
		m.o.Port = l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return err
		}
	}
	var secret [16]byte
	_, _ = rand.Read(secret[:]) // never fails: the runtime ends the program first
	password := hex.EncodeToString(secret[:])
	m.api = newMonitAPI(m.o.Port, "vcap", password)
	dir := m.o.Home.Join("monit")
	if err := home.MkdirAll(filepath.Join(dir, "job"), m.placedDir()); err != nil {
		return err
	}
	user := filepath.Join(dir, "monit.user")
	if err := home.WriteFile(user, []byte("vcap:"+password+"\n"), 0o600); err != nil {
		return err
	}
	var rc strings.Builder
	fmt.Fprintf(&rc, "set daemon %d\n", max(int(m.o.Cycle.Seconds()), 1))
	for _, kind := range []string{"pid", "id", "state"} {
		fmt.Fprintf(&rc, "set %sfile %s\n", kind, filepath.Join(dir, "monit."+kind))
	}
	fmt.Fprintf(&rc, "set httpd port %d and\n  use address 127.0.0.1\n  allow cleartext %s\n", m.o.Port, user)
	if m.o.Mail.Port != 0 {
		fmt.Fprintf(&rc, alertsFormat, m.o.Mail.Port, m.o.Mail.User, m.o.Mail.Password, filepath.Join(dir, "events"))
		if err := home.MkdirAll(filepath.Join(dir, "events")); err != nil {
			return err
		}
	}
	fmt.Fprintf(&rc, "include %s/*.monitrc\n", m.placedDir())
	if err := home.WriteFile(m.rcFile(), []byte(rc.String()), 0o600); err != nil {
		return err
	}
	return m.place()
}

const alertsFormat = `set mailserver 127.0.0.1 port %d username "%s" password "%s"
set eventqueue basedir %s slots 5000
set alert agent@localhost
set mail-format {
  from: monit@localhost
  subject: Monit Alert
  message: Service: $SERVICE
Event: $EVENT
Action: $ACTION
Date: $DATE
Description: $DESCRIPTION
}
`

// files are the jobs' monit files, by name.
func (m *Monit) files() (map[string][]byte, error) {
	paths, err := filepath.Glob(m.o.Home.Join("monit", "job", "*.monitrc"))
	if err != nil {
		return nil, fmt.Errorf("cannot list the monit files: %w", err)
	}
	sort.Strings(paths)
	all := map[string][]byte{}
	for _, path := range paths {
		text, err := home.ReadFile(path)
		if err != nil {
			return nil, err
		}
		all[filepath.Base(path)] = text
	}
	return all, nil
}

// services are those of the files, with their pid files found.
func (m *Monit) services(only map[string]bool) ([]service, error) {
	files, err := m.files()
	if err != nil {
		return nil, err
	}
	var all []service
	for name, text := range files {
		if only != nil && !only[name] {
			continue
		}
		services, _, err := parseMonitrc(string(text))
		if err != nil {
			return nil, fmt.Errorf("cannot read the monit file %s: %w", name, err)
		}
		for _, s := range services {
			s.PIDFile = m.o.Home.Place(s.PIDFile)
			all = append(all, s)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all, nil
}

var aVcapPath = regexp.MustCompile(`(^|[\s"'=])` + home.VarVcap + `(/|["'\s])`)

// place gives monit the files of what should run, with paths below the base
// folder.
func (m *Monit) place() error {
	files, err := m.files()
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, err := filepath.Glob(filepath.Join(m.placedDir(), "*.monitrc"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if _, there := files[filepath.Base(path)]; there && m.wanted[filepath.Base(path)] {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for name, text := range files {
		if !m.wanted[name] {
			continue
		}
		placed := aVcapPath.ReplaceAllString(string(text), "${1}"+strings.ReplaceAll(m.o.Home.Base(), "$", "$$")+"${2}")
		if err := home.WriteFile(filepath.Join(m.placedDir(), name), []byte(placed), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// want records the files of what should run and places them.
func (m *Monit) want(names []string) error {
	m.mu.Lock()
	m.wanted = map[string]bool{}
	for _, name := range names {
		m.wanted[name] = true
	}
	m.mu.Unlock()
	sort.Strings(names)
	if err := home.WriteJSON(m.wantedFile(), names); err != nil {
		return err
	}
	return m.place()
}

// Run keeps monit running and looks what it says, until ctx ends. monit ends
// with the agent, the jobs' processes stay.
func (m *Monit) Run(ctx context.Context) error {
	var watcher sync.WaitGroup
	watcher.Go(func() { m.watch(ctx) })
	defer watcher.Wait()
	for failures := 0; ctx.Err() == nil; failures++ {
		begun := time.Now()
		err := m.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(begun) > stable {
			failures = 0
		}
		m.o.Log.Warn().AnErr("err", err).Msg("monit ended and is started again")
		if poll.Pause(ctx, pauseAfter(failures+1)) != nil {
			return nil
		}
	}
	return nil
}

// once is one life of monit. The thread that starts it lives as long, for the
// kernel tells monit that its parent died when that thread does.
func (m *Monit) once(ctx context.Context) error {
	log, err := os.OpenFile(m.o.Home.Join("monit", "monit.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	ended := make(chan error, 1)
	go func() { ended <- m.child(ctx, log) }()
	return <-ended
}

func (m *Monit) child(ctx context.Context, log *os.File) error {
	lockThread()
	cmd := exec.CommandContext(ctx, m.o.Program, "-I", "-c", m.rcFile())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = m.o.Home.Base()
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + m.o.Home.Base()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	const patience = 10 * time.Second
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		return err
	}
	m.mu.Lock()
	m.process = cmd.Process
	m.mu.Unlock()
	return cmd.Wait()
}
