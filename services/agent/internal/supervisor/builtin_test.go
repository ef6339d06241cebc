package supervisor_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/supervisor"
)

type listener struct {
	states chan string
	events chan supervisor.Event
}

func (l *listener) StateChanged(s string)       { l.states <- s }
func (l *listener) Happened(e supervisor.Event) { l.events <- e }

type world struct {
	*testing.T
	dir home.Dir
	*listener
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := home.New(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t, dir, &listener{make(chan string, 1000), make(chan supervisor.Event, 1000)}}
	if err := home.MkdirAll(dir.Bosh(), dir.Join("monit", "job"), dir.Join("sys", "run")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // nothing a test started stays
		files, _ := filepath.Glob(dir.Join("sys", "run", "*.pid"))
		for _, file := range files {
			text, _ := os.ReadFile(file)
			if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	return w
}

// job writes a service whose program is a long sleep.
func (w *world) job(name, extra string) {
	w.Helper()
	ctl := w.dir.Join("ctl-" + name)
	script := fmt.Sprintf(`#!/bin/sh
pid=%s
case $1 in
start) echo %s >> %s; sleep 86400 & echo $! > $pid ;;
stop) kill $(cat $pid); rm -f $pid ;;
esac
`, w.pidFile(name), name, w.dir.Join("order"))
	monit := fmt.Sprintf(`check process %s
  with pidfile /var/vcap/sys/run/%s.pid
  start program "/var/vcap/ctl-%s start"
  stop program "/var/vcap/ctl-%s stop"
  group vcap
%s`, name, name, name, name, extra)
	if err := os.WriteFile(ctl, []byte(script), 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(w.dir.Join("monit", "job", name+".monitrc"), []byte(monit), 0o600); err != nil {
		w.Fatal(err)
	}
}

func (w *world) pidFile(name string) string { return w.dir.Join("sys", "run", name+".pid") }

func (w *world) pid(name string) int {
	w.Helper()
	text, err := os.ReadFile(w.pidFile(name))
	if err != nil {
		w.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		w.Fatal(err)
	}
	return pid
}

func (w *world) run() (b *supervisor.Builtin, stop func()) {
	w.Helper()
	b, err := supervisor.NewBuiltin(supervisor.Options{Home: w.dir, Listener: w.listener, Log: zerolog.Nop()})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	return b, func() {
		cancel()
		if err := <-ended; err != nil {
			w.Error(err)
		}
	}
}

func (w *world) expect(states ...string) {
	w.Helper()
	for _, want := range states {
		select {
		case got := <-w.states:
			if got != want {
				w.Fatalf("job state became %s, want %s", got, want)
			}
		case <-time.After(30 * time.Second):
			w.Fatalf("job state did not become %s", want)
		}
	}
}

func (w *world) event() supervisor.Event {
	w.Helper()
	select {
	case e := <-w.events:
		return e
	case <-time.After(30 * time.Second):
		w.Fatal("nothing happened")
		return supervisor.Event{}
	}
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	w.Cleanup(cancel)
	return ctx
}

func TestStartKillRestartStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.job("web", "  depends on db\n")
	w.job("db", "  mode manual\n")
	b, stop := w.run()
	defer stop()
	if got := b.Status().JobState; got != supervisor.Stopped {
		t.Errorf("before the start: %s", got)
	}
	if err := b.Start(w.ctx()); err != nil {
		t.Fatal(err)
	}
	w.expect(supervisor.Starting, supervisor.Running)
	if order, _ := os.ReadFile(w.dir.Join("order")); string(order) != "db\nweb\n" {
		t.Errorf("started in the order %q", order)
	}
	before := w.pid("web")
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.expect(supervisor.Failing, supervisor.Starting, supervisor.Running)
	if e := w.event(); e.Service != "web" || e.Event != "does not exist" || e.Action != "restart" {
		t.Errorf("got %+v", e)
	}
	if now := w.pid("web"); now == before || syscall.Kill(now, 0) != nil {
		t.Errorf("web was %d and is %d", before, now)
	}
	web, db := w.pid("web"), w.pid("db")
	if err := b.Stop(w.ctx()); err != nil {
		t.Fatal(err)
	}
	w.expect(supervisor.Stopped)
	for _, pid := range []int{web, db} {
		if syscall.Kill(pid, 0) == nil && !zombie(pid) {
			t.Errorf("process %d still lives", pid)
		}
	}
	if len(w.events) != 0 {
		t.Errorf("a stop was told as %+v", <-w.events)
	}
}

func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestTakesUpWhatRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.job("web", "")
	w.job("db", "")
	b, stop := w.run()
	if err := b.Start(w.ctx()); err != nil {
		t.Fatal(err)
	}
	w.expect(supervisor.Starting, supervisor.Running)
	stop()
	web, db := w.pid("web"), w.pid("db")
	if err := syscall.Kill(db, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b, stop = w.run()
	defer stop()
	if e := w.event(); e.Service != "db" {
		t.Errorf("got %+v", e)
	}
	// "running" may also be told of the moment before the death was noticed.
	again := func() bool {
		text, err := os.ReadFile(w.pidFile("db"))
		return err == nil && strings.TrimSpace(string(text)) != strconv.Itoa(db)
	}
	for <-w.states != supervisor.Running || !again() {
	}
	if w.pid("web") != web {
		t.Error("web was started anew")
	}
	if err := b.Stop(w.ctx()); err != nil {
		t.Fatal(err)
	}
}

func TestStoppedStaysStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.job("web", "")
	b, stop := w.run()
	if err := b.Start(w.ctx()); err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(w.ctx()); err != nil {
		t.Fatal(err)
	}
	stop()
	b, stop = w.run()
	defer stop()
	if err := b.Reload(w.ctx()); err != nil {
		t.Fatal(err)
	}
	if got := b.Status(); got.JobState != supervisor.Stopped || got.Processes[0].State != supervisor.Stopped {
		t.Errorf("got %+v", got)
	}
	if order, _ := os.ReadFile(w.dir.Join("order")); string(order) != "web\n" {
		t.Errorf("started %q", order)
	}
}

func TestStartTellsWhatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.job("web", "")
	if err := os.WriteFile(w.dir.Join("ctl-web"), []byte("#!/bin/sh\nexit 7\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	b, stop := w.run()
	defer stop()
	err := b.Start(w.ctx())
	if err == nil || !strings.Contains(err.Error(), "web") || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("got %v", err)
	}
	w.expect(supervisor.Starting, supervisor.Failing)
	if e := w.event(); e.Event != "execution failed" {
		t.Errorf("got %+v", e)
	}
}

// A pid that another process has by now is not the job's.
func TestForeignProcessIsNotTakenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.job("web", "")
	memory := fmt.Sprintf(`{"services":{"web":{"wanted":true,"pid":%d,"start":1}}}`, os.Getpid())
	if err := os.WriteFile(w.dir.Bosh("supervisor.json"), []byte(memory), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.pidFile("web"), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		t.Fatal(err)
	}
	b, stop := w.run()
	defer stop()
	if e := w.event(); e.Event != "does not exist" {
		t.Errorf("got %+v", e)
	}
	for got := ""; got != supervisor.Running; {
		got = <-w.states
	}
	if w.pid("web") == os.Getpid() {
		t.Error("a foreign process was taken up")
	}
	if err := b.Stop(w.ctx()); err != nil {
		t.Fatal(err)
	}
}
