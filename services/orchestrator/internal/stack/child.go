package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
)

const (
	readyFor     = 30 * time.Second // how long a child may take until it is ready
	stopFor      = 5 * time.Second  // between SIGTERM and SIGKILL
	firstPause   = 50 * time.Millisecond
	longestPause = 5 * time.Second
	steady       = 10 * time.Second // a child that lived so long starts again without a pause
	hopeless     = 6                // starts that may fail before the first one succeeds
)

// program is one child as the stack wants it.
type program struct {
	name string   // of its log
	path string   //
	args []string // hold no secret: they are visible to everybody
	env  []string // added to the inherited environment
}

// child keeps one program running.
type child struct {
	program
	logFile string
	log     zerolog.Logger

	ready  chan struct{} // closed once it was ready for the first time
	failed chan error    // receives why it never became ready
	done   chan struct{} // closed when it is gone for good
	cancel context.CancelFunc

	readyOnce sync.Once
}

// launch begins to keep p running until stop.
func launch(p program, logDir string, log zerolog.Logger) *child {
	ctx, cancel := context.WithCancel(context.Background())
	c := &child{
		program: p, logFile: filepath.Join(logDir, p.name+".log"), log: log.With().Str("program", p.name).Logger(),
		ready: make(chan struct{}), failed: make(chan error, 1), done: make(chan struct{}), cancel: cancel,
	}
	go c.keep(ctx)
	return c
}

// stop ends the child and returns when it is gone.
func (c *child) stop() {
	c.cancel()
	<-c.done
}

// waitReady returns when the child was ready once, will never be, or ctx ends.
func (c *child) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyFor)
	defer cancel()
	select {
	case <-c.ready:
		return nil
	case err := <-c.failed:
		return err
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return c.explain(errors.New("it did not become ready in time"))
		}
		return context.Cause(ctx)
	}
}

func (c *child) keep(ctx context.Context) {
	// The kernel sends the parent-death signal when the thread that forked ends,
	// so this goroutine keeps its thread for as long as the child may live.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.done)
	pause := firstPause
	for starts := 1; ; starts++ {
		began := time.Now()
		err := c.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if !c.wasReady() && starts >= hopeless {
			c.failed <- c.explain(err)
			return
		}
		if time.Since(began) > steady {
			pause = firstPause
		}
		level := zerolog.WarnLevel
		if !c.wasReady() {
			level = zerolog.DebugLevel // it may be waiting for a predecessor to end
		}
		c.log.WithLevel(level).Err(err).Dur("pause", pause).Msg("a part ended and is started again")
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		pause = min(2*pause, longestPause)
	}
}

func (c *child) wasReady() bool {
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// once runs the program from start to end.
func (c *child) once(ctx context.Context) error {
	logFile, err := openLog(c.logFile)
	if err != nil {
		return err
	}
	defer func() { _ = logFile.Close() }()
	socket, err := listenNotify()
	if err != nil {
		return err
	}
	defer socket.close()

	cmd := exec.Command(c.path, c.args...)
	cmd.Env = append(environment(os.Environ()), append(c.env, "NOTIFY_SOCKET="+socket.name)...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", c.name, err)
	}
	go func() {
		if socket.wait() {
			c.readyOnce.Do(func() { close(c.ready) })
		}
	}()
	ended := make(chan struct{})
	go func() {
		select {
		case <-ended:
			return
		case <-ctx.Done():
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
		t := time.NewTimer(stopFor)
		defer t.Stop()
		select {
		case <-ended:
		case <-t.C:
			_ = cmd.Process.Kill()
		}
	}()
	err = cmd.Wait()
	close(ended)
	if err == nil {
		err = errors.New("it ended by itself")
	}
	return err
}

// explain makes err say where to look.
func (c *child) explain(err error) error {
	return messages.Errorf(messages.CodeNoService, "cannot run %s: %w", c.name, err).
		WithHint("its last words are in %s", c.logFile)
}

// environment drops what service managers gave to this process alone.
func environment(inherited []string) []string {
	out := make([]string, 0, len(inherited))
	for _, kv := range inherited {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES":
		default:
			out = append(out, kv)
		}
	}
	return out
}
