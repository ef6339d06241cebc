package action

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/microbosh/microbosh/services/agent/internal/task"
)

// maxErrandOutput is how much of each stream an errand's result carries: what
// is more would not fit into a message.
const maxErrandOutput = 256 << 10

type errandResult struct {
	Stdout   string `json:"stdout"`
	Stderr   string `json:"stderr"`
	ExitCode int    `json:"exit_code"`
}

// runErrand runs bin/run of a job. A cancelled errand is asked to end, and its
// result is what it then says.
func runErrand(ctx context.Context, d *Dispatcher, c call) (any, error) {
	s, err := d.current()
	if err != nil {
		return nil, err
	}
	name := s.Job.Template
	if len(c.args) > 0 {
		if err := c.arg(0, &name); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(s.templates(), func(t blob) bool { return t.Name == name }) {
			return nil, fmt.Errorf("Could not find errand %s", clip(name)) //nolint:staticcheck // BOSH's text
		}
	}
	if name == "" {
		return nil, errors.New("At least one job template is required to run an errand") //nolint:staticcheck // BOSH's text
	}
	if !fileName.MatchString(name) {
		return nil, fmt.Errorf("Could not find errand %s", clip(name)) //nolint:staticcheck // BOSH's text
	}
	cmd := exec.CommandContext(ctx, d.o.Home.Join("jobs", name, "bin", "run"))
	cmd.Env, cmd.Dir = []string{scriptPath}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, stderr := bounded{limit: maxErrandOutput}, bounded{limit: maxErrandOutput}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	const nice = 10 * time.Second // then it is killed
	cmd.WaitDelay = nice
	err = cmd.Run()
	if cmd.Process != nil {
		// What the errand left in its group ends with it when it was cancelled.
		if ctx.Err() != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	}
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), task.ErrCancelled) {
		return nil, context.Cause(ctx)
	}
	result := errandResult{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay), errors.Is(err, context.Canceled):
	case errors.As(err, &exit):
	default:
		return nil, fmt.Errorf("Running errand script: %w", err) //nolint:staticcheck // BOSH's text
	}
	if cmd.ProcessState != nil {
		result.ExitCode = cmd.ProcessState.ExitCode()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			const signalled = 128 // as shells tell it
			result.ExitCode = signalled + int(status.Signal())
		}
	}
	return result, nil
}
