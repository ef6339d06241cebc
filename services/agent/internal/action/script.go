package action

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// scriptPath is the whole environment of a job's script, but for what the
// request adds.
const scriptPath = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"

// maxOutput is how much of a script's words an exception carries.
const maxOutput = 16 << 10

// script is a program of a job.
type script struct {
	path string
	args []string
	env  []string
	logs string // <logs>.stdout.log and <logs>.stderr.log are appended to, when set
}

// run returns what the script wrote to stdout, or, when it fails, to both. The
// whole process group ends with ctx.
func (s script) run(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, s.path, s.args...)
	cmd.Env = append([]string{scriptPath}, s.env...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	const pipesAfterExit = 2 * time.Second // a script may leave a process behind that holds its output
	cmd.WaitDelay = pipesAfterExit
	var stdout, stderr bounded
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if s.logs != "" {
		if err := home.MkdirAll(filepath.Dir(s.logs)); err != nil {
			return "", err
		}
		for name, to := range map[string]*io.Writer{"stdout": &cmd.Stdout, "stderr": &cmd.Stderr} {
			f, err := os.OpenFile(s.logs+"."+name+".log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
			if err != nil {
				return "", fmt.Errorf("cannot log the script: %w", err)
			}
			defer f.Close()
			*to = io.MultiWriter(*to, f)
		}
	}
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return strings.TrimSpace("stderr: " + stderr.String() + ", stdout: " + stdout.String()), err
	}
	return stdout.String(), nil
}

// bounded keeps the first maxOutput bytes.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := maxOutput - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// scripts finds bin/<name> of every job of the applied spec that has one.
func (d *Dispatcher) scripts(s spec, name string) (map[string]string, error) {
	found := map[string]string{}
	for _, t := range s.templates() {
		if !fileName.MatchString(t.Name) {
			continue
		}
		path := d.o.Home.Join("jobs", t.Name, "bin", name)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot look at the %s script of %s: %w", name, t.Name, err)
		}
		if info.Mode().IsRegular() {
			found[t.Name] = path
		}
	}
	return found, nil
}

// runScript runs a script of all jobs at the same time.
func runScript(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var name string
	if err := c.arg(0, &name); err != nil {
		return nil, err
	}
	var options struct {
		Env map[string]string `json:"env"`
	}
	if len(c.args) > 1 {
		if err := c.arg(1, &options); err != nil {
			return nil, err
		}
	}
	if !fileName.MatchString(name) {
		return nil, fmt.Errorf("%q is no script", clip(name))
	}
	s, err := d.current()
	if err != nil {
		return nil, err
	}
	scripts, err := d.scripts(s, name)
	if err != nil {
		return nil, err
	}
	var env []string
	for key, value := range options.Env {
		if key == "" || strings.ContainsAny(key, "=\x00") || strings.Contains(value, "\x00") {
			return nil, errors.New("a variable of env is not usable")
		}
		env = append(env, key+"="+value)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex // guards failed and well
	var failed, well []string
	for job, path := range scripts {
		wg.Go(func() {
			_, err := script{path: path, env: env, logs: d.o.Home.Join("sys", "log", job, name)}.run(ctx)
			d.o.Log.Info().Str("script", name).Str("job", job).AnErr("err", err).Msg("script ended")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, job)
			} else {
				well = append(well, job)
			}
		})
	}
	wg.Wait()
	if len(failed) > 0 {
		message := fmt.Sprintf("%d of %d %s script(s) failed. Failed Jobs: %s.", len(failed), len(scripts), name, strings.Join(failed, ", "))
		if len(well) > 0 {
			message += fmt.Sprintf(" Successful Jobs: %s.", strings.Join(well, ", "))
		}
		return nil, errors.New(message)
	}
	return struct{}{}, nil
}

// drain asks the jobs to come to rest and waits as long as they wish, so that
// the answer is 0, as from today's agents.
func drain(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var kind string
	if err := c.arg(0, &kind); err != nil {
		return nil, err
	}
	s, err := d.current()
	if err != nil {
		return nil, err
	}
	var args []string
	switch kind {
	case "shutdown":
		if err := d.o.Goodbye(); err != nil {
			d.o.Log.Warn().AnErr("err", err).Msg("the shutdown notice could not be sent")
		}
		args = []string{"job_shutdown", "hash_unchanged"}
	case "update":
		if len(c.args) < 2 {
			return nil, errors.New("Drain update called without apply spec") //nolint:staticcheck // BOSH's text
		}
		next, err := parseSpec(c.args[1])
		if err != nil {
			return nil, err
		}
		args = drainArgs(s, next)
	case "status":
		args = []string{"job_check_status", "hash_unchanged"}
	default:
		return nil, fmt.Errorf("Unknown drain type %s", clip(kind)) //nolint:staticcheck // BOSH's text
	}
	if err := d.o.Supervisor.Unmonitor(ctx); err != nil {
		return nil, err
	}
	scripts, err := d.scripts(s, "drain")
	if err != nil {
		return nil, err
	}
	for job, path := range scripts {
		if err := d.drainJob(ctx, job, path, args); err != nil {
			return nil, fmt.Errorf("job %s: %w", job, err)
		}
	}
	return 0, nil
}

// drainJob follows the script's contract: n seconds to wait, and when negative
// to ask again after them.
func (d *Dispatcher) drainJob(ctx context.Context, job, path string, args []string) error {
	for {
		out, err := script{path: path, args: args, logs: d.o.Home.Join("sys", "log", job, "drain")}.run(ctx)
		seconds, parse := strconv.Atoi(strings.TrimSpace(out))
		if err != nil || parse != nil {
			return fmt.Errorf("Drain script exit %v: %s", err, out) //nolint:staticcheck // BOSH's text
		}
		rest := time.NewTimer(time.Duration(max(seconds, -seconds)) * time.Second)
		select {
		case <-rest.C:
		case <-ctx.Done():
			rest.Stop()
			return context.Cause(ctx)
		}
		if seconds >= 0 {
			return nil
		}
		args = []string{"job_check_status", "hash_unchanged"}
	}
}

// drainArgs tells a script what changes: the job, the configuration, and the
// names of changed and new packages.
func drainArgs(now, next spec) []string {
	word := func(what string, first bool, before, after string) string {
		switch {
		case first:
			return what + "_new"
		case before == after:
			return what + "_unchanged"
		default:
			return what + "_changed"
		}
	}
	args := []string{
		word("job", now.Job.Name == "", now.Job.SHA1, next.Job.SHA1),
		word("hash", !now.installs(), string(now.Configuration), string(next.Configuration)),
	}
	var fresh []string
	for name, p := range next.Packages {
		before, ok := now.Packages[name]
		switch {
		case !ok:
			fresh = append(fresh, name)
		case before.SHA1 != p.SHA1:
			args = append(args, name)
		}
	}
	return append(args, fresh...)
}
