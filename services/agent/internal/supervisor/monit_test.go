package supervisor_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/supervisor"
)

// needMonit skips without the real monit.
func needMonit(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("monit"); err != nil {
		t.Skip("monit is not installed: `make deps-root` installs Debian's")
	}
}

func (w *world) monit() (m *supervisor.Monit, stop func()) {
	w.Helper()
	m, err := supervisor.NewMonit(supervisor.MonitOptions{
		Home: w.dir, Listener: w.listener, Cycle: time.Second, Log: zerolog.Nop(),
	})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	return m, func() {
		cancel()
		if err := <-ended; err != nil {
			w.Error(err)
		}
		if w.Failed() {
			log, _ := os.ReadFile(w.dir.Join("monit", "monit.log"))
			w.Logf("monit's log:\n%s", log)
		}
	}
}

func TestMonit(t *testing.T) {
	t.Parallel()
	needMonit(t)
	w := newWorld(t)
	w.job("web", "  depends on db\n")
	w.job("db", "")
	m, stop := w.monit()
	defer func() { stop() }()
	if err := m.Reload(w.ctx()); err != nil {
		t.Fatal(err)
	}
	if got := m.Status(); got.JobState != supervisor.Stopped || len(got.Processes) != 2 {
		t.Errorf("before the start: %+v", got)
	}
	if _, err := os.Stat(w.pidFile("web")); err == nil {
		t.Error("a reload has started something")
	}
	if err := m.Start(w.ctx()); err != nil {
		t.Fatal(err)
	}
	if got := m.Status(); got.JobState != supervisor.Running || len(got.Processes) != 2 || got.Processes[0].Uptime == nil {
		t.Errorf("got %+v", got)
	}
	before := w.pid("web")
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := w.ctx(); ; {
		if now, err := os.ReadFile(w.pidFile("web")); err == nil && len(now) > 0 && w.pid("web") != before {
			break
		}
		if deadline.Err() != nil {
			t.Fatal("monit does not start it again")
		}
		_ = m.Status() // asking takes its time
	}
	web := w.pid("web")

	// The agent starts anew: the processes stay and are taken up.
	stop()
	if syscall.Kill(web, 0) != nil {
		t.Fatal("the process ended with monit")
	}
	m, stop = w.monit()
	if err := m.Start(w.ctx()); err != nil {
		t.Fatal(err)
	}
	if w.pid("web") != web {
		t.Error("web was started anew")
	}
	if err := m.Unmonitor(w.ctx()); err != nil {
		t.Fatal(err)
	}
	if got := m.Status(); got.Processes[0].State != "unmonitored" || got.JobState != supervisor.Failing {
		t.Errorf("unmonitored: %+v", got)
	}
	if err := m.Stop(w.ctx()); err != nil {
		t.Fatal(err)
	}
	if got := m.Status(); got.JobState != supervisor.Stopped {
		t.Errorf("after the stop: %+v", got)
	}
	if syscall.Kill(web, 0) == nil && !zombie(web) {
		t.Error("the process still lives")
	}
}

// The API is for who knows the password, which is made anew at each start.
func TestMonitsPassword(t *testing.T) {
	t.Parallel()
	needMonit(t)
	w := newWorld(t)
	m, stop := w.monit()
	defer stop()
	if err := m.Reload(w.ctx()); err != nil {
		t.Fatal(err)
	}
	rc, err := os.ReadFile(w.dir.Bosh("etc", "monitrc"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(rc), "httpd port ")
	port, _, _ := strings.Cut(rest, " ")
	resp, err := http.Get("http://127.0.0.1:" + port + "/_status2?format=xml")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a password: %s", resp.Status)
	}
	if info, err := os.Stat(w.dir.Join("monit", "monit.user")); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}
