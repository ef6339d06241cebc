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
	dir  string // "" is /
	logs string // <logs>.stdout.log and <logs>.stderr.log are appended to, when set
}

// run returns what the script wrote to stdout, or, when it fails, to both. The
// whole process group ends with ctx.
func (s script) run(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, s.path, s.args...)
	cmd.Env = append([]string{scriptPath}, s.env...)
	if cmd.Dir = s.dir; cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	const pipesAfterExit = 2 * time.Second // a script may leave a process behind that holds its output
	cmd.WaitDelay = pipesAfterExit
	stdout, stderr := bounded{limit: maxOutput}, bounded{limit: maxOutput}
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

// bounded keeps the first bytes.
type bounded struct {
	bytes.Buffer
	limit int
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := b.limit - b.Len(); room > 0 {
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
