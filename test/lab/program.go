package lab

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ready is how long a program may take to say that it serves.
const ready = 30 * time.Second

// Programs builds every program once per test binary and gives their folder.
// MICROBOSH_BIN names one that was built already.
func Programs(t testing.TB) string {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatalf("cannot build the programs: %v", err)
	}
	return dir
}

var build = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("MICROBOSH_BIN"); dir != "" {
		return dir, nil
	}
	dir, err := os.MkdirTemp("", "microbosh-bin-")
	if err != nil {
		return "", err
	}
	_, here, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(here), "../..")
	for name, source := range map[string]string{
		"microbosh": "./services/orchestrator", "microbosh-agent": "./services/agent", "microbosh-registry": "./services/registry",
		"microbosh-cpi-openstack": "./services/cpi-openstack", "devcloud": "./deploy/devcloud/cmd/devcloud",
	} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, name), source)
		cmd.Dir, cmd.Env, cmd.Stderr = root, append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
		if err := cmd.Run(); err != nil {
			return "", err
		}
	}
	return dir, nil
})

func (l *Lab) program(log, name string, args ...string) *Process {
	l.t.Helper()
	return l.start(log, filepath.Join(l.bin, name), args...)
}

// elsewhere runs a program to which this host has another name.
func (l *Lab) elsewhere(log, name string, args ...string) *Process {
	l.t.Helper()
	namespace := "-u"
	if os.Geteuid() != 0 {
		namespace = "-Uru"
	}
	program := filepath.Join(l.bin, name)
	return l.start(log, "unshare", append([]string{namespace, "sh", "-ec", `hostname elsewhere; exec "$@"`, name, program}, args...)...)
}

func (l *Lab) start(log, path string, args ...string) *Process {
	l.t.Helper()
	level := "debug"
	if l.quiet {
		level = "info"
	}
	return Start(l.t, filepath.Join(l.state, log), level, path, args...)
}

// Process is a program that runs for the length of a test, or shorter.
type Process struct {
	Name string
	Log  string // its standard error

	level string
	t     testing.TB
	path  string
	args  []string
	mu    sync.Mutex
	cmd   *exec.Cmd     // guarded by mu; nil when it does not run
	ended chan struct{} // guarded by mu
}

// Start runs a program and waits until it is ready.
func Start(t testing.TB, log, level, path string, args ...string) *Process {
	t.Helper()
	p := &Process{Name: filepath.Base(log), Log: log + ".log", level: level, t: t, path: path, args: args}
	t.Cleanup(p.end)
	p.Restart()
	return p
}

// Restart starts the program again and waits until it is ready.
func (p *Process) Restart() {
	p.t.Helper()
	socket, err := os.MkdirTemp("", "n")
	if err != nil {
		p.t.Fatal(err)
	}
	defer os.RemoveAll(socket)
	address := &net.UnixAddr{Name: filepath.Join(socket, "s"), Net: "unixgram"}
	listener, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		p.t.Fatal(err)
	}
	defer listener.Close()
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+address.Name, "MICROBOSH_LOG="+p.level)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("cannot start %s: %v", p.Name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // a test that cares looks at what the program did
		close(ended)
		_ = listener.SetReadDeadline(time.Now())
	}()
	p.mu.Lock()
	p.cmd, p.ended = cmd, ended
	p.mu.Unlock()
	if err := listener.SetReadDeadline(time.Now().Add(ready)); err != nil {
		p.t.Fatal(err)
	}
	buffer := make([]byte, 256)
	n, err := listener.Read(buffer)
	if err != nil || !strings.Contains(string(buffer[:n]), "READY=1") {
		text, _ := os.ReadFile(p.Log)
		p.t.Fatalf("%s does not come up (%v):\n%s", p.Name, err, text)
	}
}

// Kill ends the program with SIGKILL and waits for its end. It tells whether the
// program ran: one that did not may be about to, by somebody else's Restart.
func (p *Process) Kill() bool { return p.signal(syscall.SIGKILL, true) }

// Stop ends the program with SIGTERM and waits for its end.
func (p *Process) Stop() { p.signal(syscall.SIGTERM, true) }

// Freeze stops it where it is; Thaw lets it go on.
func (p *Process) Freeze() { p.signal(syscall.SIGSTOP, false) }

// Thaw lets a frozen program go on.
func (p *Process) Thaw() { p.signal(syscall.SIGCONT, false) }

func (p *Process) signal(s syscall.Signal, wait bool) (ran bool) {
	p.t.Helper()
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
	if cmd == nil {
		return false
	}
	_ = cmd.Process.Signal(s) // it may have ended
	if !wait {
		return true
	}
	select {
	case <-ended:
	case <-time.After(ready):
		_ = cmd.Process.Kill()
		p.t.Errorf("%s did not end on %v", p.Name, s)
		<-ended
	}
	p.mu.Lock()
	p.cmd = nil
	p.mu.Unlock()
	return true
}

func (p *Process) end() {
	p.Thaw()
	p.Stop()
	if p.t.Failed() {
		if text, err := os.ReadFile(p.Log); err == nil {
			const tail = 6000
			p.t.Logf("== %s\n%s", p.Name, text[max(0, len(text)-tail):])
		}
	}
}

// PID is the running program's process id, "-<pid>" as sources end with it.
func (p *Process) PID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return "-"
	}
	return fmt.Sprintf("-%d", p.cmd.Process.Pid)
}
