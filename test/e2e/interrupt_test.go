package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/microbosh/microbosh/test/lab"
)

// A command with its own bus and services that ends in the middle of create_vm,
// in any way, loses nothing: the same command goes on. (bosh create-env leaks
// the VM when it is ended there, by SIGTERM or SIGINT as well.)
func TestInterruptedCommandIsResumed(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := lab.Alone(t, slowSettle())
			l.BuildStemcell()
			l.Faults(lab.Fault{Mode: "delay", Method: "POST", Path: "/servers$", DelayMS: 1500, Count: 1})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := l.Command(ctx, "deploy", l.Stemcell, "-n")
			out := newWatch("uploading stemcell")
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			out.wait(t, ctx)
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			err := cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Fatalf("the command ended well although it was told to stop:\n%s", out)
			}
			if signal == syscall.SIGINT && exit.ExitCode() != 130 {
				t.Errorf("exit code %d, want 130:\n%s", exit.ExitCode(), out)
			}
			deploy(t, l)
			whole(t, l)
			remove(t, l)
		})
	}
}

// watch is an output that tells when a text has come.
type watch struct {
	text string
	came chan struct{}
	all  bytes.Buffer
}

func newWatch(text string) *watch { return &watch{text: text, came: make(chan struct{})} }

// Write is called by one goroutine: stdout and stderr are the same writer.
func (w *watch) Write(p []byte) (int, error) {
	before := strings.Contains(w.all.String(), w.text)
	n, err := w.all.Write(p)
	if !before && strings.Contains(w.all.String(), w.text) {
		close(w.came)
	}
	return n, err
}

// String is everything so far; for when the writer has ended.
func (w *watch) String() string { return w.all.String() }

func (w *watch) wait(t *testing.T, ctx context.Context) {
	t.Helper()
	select {
	case <-w.came:
	case <-ctx.Done():
		t.Fatalf("%q does not come", w.text)
	}
}
