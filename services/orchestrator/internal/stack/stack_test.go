package stack_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/renameio/v2"
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/stack"
)

// The test's own binary stands in for every program: the real bus, and parts
// that say that they are ready and leave their pid behind.
func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	if len(os.Args) > 1 && (os.Args[1] == "bus" || os.Args[1] == "serve") {
		name = os.Args[1]
	}
	switch name {
	case "bus", "serve", "microbosh-registry", "microbosh-cpi-openstack":
		os.Exit(daemon.Main(name, func(ctx context.Context, log zerolog.Logger) error { return part(ctx, name, log) }))
	}
	os.Exit(m.Run())
}

func part(ctx context.Context, name string, log zerolog.Logger) error {
	dir := filepath.Dir(flag("--keys"))
	if name == "bus" {
		dir = flag("--dir")
		server, err := embed.Start(ctx, embed.Options{Dir: dir, Host: flag("--host"), Log: log})
		if err != nil {
			return err
		}
		defer server.Close()
	}
	if _, err := os.Stat(filepath.Join(dir, "fail-"+name)); err == nil {
		return errors.New("told to fail")
	}
	if err := renameio.WriteFile(filepath.Join(dir, "pid-"+name), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return err
	}
	if err := daemon.Ready(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func flag(name string) string {
	if i := slices.Index(os.Args, name); i >= 0 && i+1 < len(os.Args) {
		return os.Args[i+1]
	}
	return ""
}

// programs is a folder where this binary has the parts' names.
func programs(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"microbosh-registry", "microbosh-cpi-openstack"} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func start(t *testing.T, o stack.Options) *stack.Stack {
	t.Helper()
	s, err := stack.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func pid(dir, name string) int {
	b, err := os.ReadFile(filepath.Join(dir, "pid-"+name))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(string(b))
	return n
}

func alive(pid int) bool { return pid > 0 && syscall.Kill(pid, 0) == nil }

// within waits for what other processes do, of which no event tells.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}

var parts = []string{"bus", "serve", "microbosh-registry", "microbosh-cpi-openstack"}

func TestStartHealStop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, stack.Options{Dir: dir, Programs: programs(t)})
	if !s.Owned() || !strings.HasPrefix(s.URL(), "nats://127.0.0.1:") {
		t.Fatalf("owned %v, url %q", s.Owned(), s.URL())
	}
	var last []int
	for _, name := range parts {
		old := pid(dir, name)
		if !alive(old) {
			t.Fatalf("%s is ready but does not run", name)
		}
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		within(t, name+" runs again", func() bool { now := pid(dir, name); return now != old && alive(now) })
	}
	for _, name := range parts {
		last = append(last, pid(dir, name))
	}
	s.Stop()
	for i, p := range last {
		if alive(p) {
			t.Errorf("%s outlived the stack", parts[i])
		}
	}
}

func TestSecondJoinsAndInherits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	where := programs(t)
	first := start(t, stack.Options{Dir: dir, Programs: where})
	second := start(t, stack.Options{Dir: dir, Programs: where})
	if second.Owned() || second.URL() != first.URL() {
		t.Fatalf("second: owned %v, url %s; first has %s", second.Owned(), second.URL(), first.URL())
	}
	if j := stack.Join(dir); j == nil || j.URL() != first.URL() {
		t.Errorf("Join gives %v", j)
	}
	old := pid(dir, "serve")
	url := first.URL()
	first.Stop()
	within(t, "the second inherits", func() bool { now := pid(dir, "serve"); return second.Owned() && now != old && alive(now) })
	if second.URL() != url {
		t.Errorf("the bus moved from %s to %s", url, second.URL())
	}
	second.Stop()
	if stack.Join(dir) != nil {
		t.Error("a bus runs after all have stopped")
	}
}

func TestBusOnlyStartsNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, stack.Options{Dir: dir, Programs: programs(t), BusOnly: true})
	if !alive(pid(dir, "bus")) || pid(dir, "serve") != 0 {
		t.Errorf("bus %d, serve %d", pid(dir, "bus"), pid(dir, "serve"))
	}
}

func TestPartThatNeverGetsReady(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "fail-microbosh-registry"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := stack.Start(t.Context(), stack.Options{Dir: dir, Programs: programs(t)})
	e := messages.AsError(err)
	if e == nil || !strings.Contains(e.Message, "cannot run registry") || !strings.Contains(e.Hint, filepath.Join(dir, "log", "registry.log")) {
		t.Fatalf("got %v", fmt.Sprintf("%+v", e))
	}
	for _, name := range parts {
		if alive(pid(dir, name)) {
			t.Errorf("%s was left running", name)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "log", "registry.log"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("log: %v, %v", info, err)
	}
}

func TestMissingProgram(t *testing.T) {
	t.Parallel()
	_, err := stack.Start(t.Context(), stack.Options{Dir: t.TempDir(), Programs: t.TempDir()})
	if e := messages.AsError(err); e == nil || !strings.Contains(e.Hint, "make build") {
		t.Errorf("got %+v", e)
	}
}
