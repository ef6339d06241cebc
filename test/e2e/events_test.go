package e2e_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/microbosh/microbosh/test/lab"
)

// Who follows the events sees them as they come, until Ctrl-C.
func TestEventsAreFollowed(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.BuildStemcell()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := l.Command(ctx, "events", "--follow")
	out := newWatch("run_closed       create ")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deploy(t, l)
	out.wait(t, ctx)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the code tells
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d, want 130:\n%s", code, out)
	}
}
