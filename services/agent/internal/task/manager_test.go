package task_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/services/agent/internal/task"
)

func start(t *testing.T, o task.Options) (m *task.Manager, stop func()) {
	t.Helper()
	m, err := task.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	return m, stop
}

func wait(t *testing.T, m *task.Manager, id string) task.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	got, ok := m.Wait(ctx, id)
	if !ok || !got.State.Ended() {
		t.Fatalf("task %s did not end: %+v", id, got)
	}
	return got
}

func submit(t *testing.T, m *task.Manager, method, step string, work task.Work) task.Task {
	t.Helper()
	got, err := m.Submit(method, step, work)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTasksRunOneAfterAnother(t *testing.T) {
	t.Parallel()
	m, stop := start(t, task.Options{Dir: t.TempDir()})
	defer stop()
	release := make(chan struct{})
	var order []int
	first := submit(t, m, "apply", "", func(context.Context) (any, error) {
		<-release
		order = append(order, 1)
		return "applied", nil
	})
	second := submit(t, m, "stop", "", func(context.Context) (any, error) {
		order = append(order, 2)
		return nil, errors.New("no")
	})
	if got, _ := m.Get(second.ID); got.State != task.Queued {
		t.Errorf("the second is %s while the first runs", got.State)
	}
	close(release)
	if got := wait(t, m, second.ID); got.State != task.Failed || got.Error != "no" {
		t.Errorf("got %+v", got)
	}
	if got := wait(t, m, first.ID); string(got.Value) != `"applied"` {
		t.Errorf("got %+v", got)
	}
	if fmt.Sprint(order) != "[1 2]" {
		t.Errorf("order %v", order)
	}
}

func TestStepIDAnswersWithTheSameTask(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m, stop := start(t, task.Options{Dir: dir})
	runs := 0
	work := func(context.Context) (any, error) { runs++; return runs, nil }
	first := submit(t, m, "apply", "uid12345-apply-1", work)
	wait(t, m, first.ID)
	if again := submit(t, m, "apply", "uid12345-apply-1", work); again.ID != first.ID || string(again.Value) != "1" {
		t.Errorf("a repeat got %+v", again)
	}
	if other := submit(t, m, "start", "uid12345-apply-1", work); other.ID == first.ID {
		t.Error("another method got the same task")
	} else {
		wait(t, m, other.ID)
	}
	stop()
	m, stop = start(t, task.Options{Dir: dir})
	defer stop()
	if again := submit(t, m, "apply", "uid12345-apply-1", work); again.ID != first.ID || string(again.Value) != "1" {
		t.Errorf("a repeat after a restart got %+v", again)
	}
	if runs != 2 {
		t.Errorf("ran %d times", runs)
	}
}

func TestInterruptedRunsAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m, stop := start(t, task.Options{Dir: dir})
	begun := make(chan struct{})
	first := submit(t, m, "apply", "uid12345-apply-1", func(ctx context.Context) (any, error) {
		close(begun)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	<-begun
	stop()
	if got := wait(t, m, first.ID); got.State != task.Interrupted {
		t.Errorf("got %+v", got)
	}
	m, stop = start(t, task.Options{Dir: dir})
	defer stop()
	if got := wait(t, m, first.ID); got.State != task.Interrupted || !strings.Contains(got.Error, "stopped") {
		t.Errorf("got %+v", got)
	}
	again := submit(t, m, "apply", "uid12345-apply-1", func(context.Context) (any, error) { return "applied", nil })
	if again.ID != first.ID || again.State != task.Queued {
		t.Errorf("got %+v", again)
	}
	if got := wait(t, m, first.ID); got.State != task.Done || got.Error != "" {
		t.Errorf("got %+v", got)
	}
}

func TestKilledLeavesReadableFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"t-1.json":     `{"id":"t-1","method":"apply","step_id":"s","state":"running"}`,
		"t-2.json":     `{"id":"t-2","met`,
		".t-3.json.12": `{"id"`,
		"t-4.json":     `{"id":"other"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, stop := start(t, task.Options{Dir: dir})
	defer stop()
	if got, ok := m.Get("t-1"); !ok || got.State != task.Interrupted {
		t.Errorf("got %+v", got)
	}
	for _, id := range []string{"t-2", "t-4", "other"} {
		if got, ok := m.Get(id); ok {
			t.Errorf("an unreadable file became %+v", got)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestFinishedTasksAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m, stop := start(t, task.Options{Dir: dir, Keep: 3})
	defer stop()
	var ids []string
	for range 6 {
		got := submit(t, m, "stop", "", func(context.Context) (any, error) { return "stopped", nil })
		wait(t, m, got.ID)
		ids = append(ids, got.ID)
	}
	if _, ok := m.Get(ids[0]); ok {
		t.Error("the oldest is still known")
	}
	if _, ok := m.Get(ids[5]); !ok {
		t.Error("the newest is forgotten")
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.json")); len(files) != 3 {
		t.Errorf("%d files are kept", len(files))
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	m, stop := start(t, task.Options{Dir: t.TempDir()})
	defer stop()
	begun := make(chan struct{})
	running := submit(t, m, "drain", "", func(ctx context.Context) (any, error) {
		close(begun)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	<-begun
	queued := submit(t, m, "drain", "", func(context.Context) (any, error) { return 0, nil })
	for _, id := range []string{queued.ID, running.ID} {
		if err := m.Cancel(id); err != nil {
			t.Fatal(err)
		}
		if got := wait(t, m, id); got.State != task.Failed || !strings.Contains(got.Error, "cancelled") {
			t.Errorf("got %+v", got)
		}
	}
	if err := m.Cancel("none"); err == nil {
		t.Error("an unknown task was cancelled")
	}
}

// A disk that has no room any more ends neither the agent nor its start: a new
// task is refused, one that runs is answered.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tasks")
	m, stop := start(t, task.Options{Dir: dir})
	away := dir + ".away"
	got := submit(t, m, "apply", "s-1", func(context.Context) (any, error) {
		if err := os.Rename(dir, away); err != nil {
			return nil, err
		}
		return "applied", os.WriteFile(dir, nil, 0o600) // nothing can be written below it
	})
	if ended := wait(t, m, got.ID); ended.State != task.Done || string(ended.Value) != `"applied"` {
		t.Errorf("ended as %+v", ended)
	}
	if _, err := m.Submit("apply", "s-2", nil); err == nil {
		t.Error("a task that cannot be recorded was taken")
	}
	if err := errors.Join(os.Remove(dir), os.Rename(away, dir)); err != nil {
		t.Fatal(err)
	}
	after := submit(t, m, "start", "s-3", func(context.Context) (any, error) { return "started", nil })
	if ended := wait(t, m, after.ID); ended.State != task.Done {
		t.Errorf("ended as %+v", ended)
	}
	stop()
	m, stop = start(t, task.Options{Dir: dir})
	defer stop()
	if was, ok := m.Get(got.ID); !ok || was.State != task.Interrupted {
		t.Errorf("what was not recorded is %+v after a restart", was)
	}
}
