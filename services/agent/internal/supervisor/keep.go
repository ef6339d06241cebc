package supervisor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/microbosh/microbosh/pkg/poll"
	"github.com/microbosh/microbosh/services/agent/internal/watch"
)

// A process that lived for stable starts again at once when it ends; one that
// does not waits longer each time.
const (
	stable      = 30 * time.Second
	firstPause  = 500 * time.Millisecond
	longestWait = time.Minute
)

// keep begins to keep a unit's process; it is called with mu held. The first
// outcome is sent to begin, if there is one, which has room for it. Without one
// the process is taken up after a restart of the agent.
func (b *Builtin) keep(u *unit, begin chan<- error) {
	ctx, cancel := context.WithCancel(b.life)
	u.cancel, u.done = cancel, make(chan struct{})
	done := u.done
	b.watchers.Go(func() {
		defer close(done)
		defer cancel()
		b.keeper(ctx, u, begin)
	})
}

// release ends the keeper and waits for it; it is called without mu.
func (b *Builtin) release(u *unit) {
	b.mu.Lock()
	cancel, done := u.cancel, u.done
	u.cancel, u.done = nil, nil
	b.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
}

func (b *Builtin) keeper(ctx context.Context, u *unit, begin chan<- error) {
	log := b.o.Log.With().Str("service", u.Name).Logger()
	outcome := func(err error) {
		if begin != nil {
			begin <- err
			begin = nil
		}
	}
	taken := begin == nil
	for failures := 0; ; {
		p := b.lookFor(u)
		if p == nil && taken {
			b.gone(u, "process is not running though it should: it ended while the agent was away")
		}
		if p == nil {
			var err error
			b.mark(u, Starting, nil)
			if p, err = b.launch(ctx, u); ctx.Err() != nil {
				if p != nil {
					p.close()
				}
				outcome(context.Cause(ctx))
				return
			}
			if err != nil {
				log.Warn().AnErr("err", err).Int("failures", failures).Msg("process does not start")
				b.mark(u, Failing, nil)
				b.o.Listener.Happened(Event{Service: u.Name, Event: "execution failed", Action: "start", Summary: err.Error()})
				outcome(err)
				taken = false
				failures++
				if poll.Pause(ctx, pauseAfter(failures)) != nil {
					return
				}
				continue
			}
		}
		taken = false
		begun := b.o.Now()
		b.mark(u, Running, p)
		log.Info().Int("pid", p.pid).Msg("process runs")
		outcome(nil)
		err := p.wait(ctx)
		p.close()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			log.Error().AnErr("err", err).Msg("process cannot be watched")
		}
		if b.o.Now().Sub(begun) >= stable {
			failures = 0
		}
		if p := b.lookFor(u); p != nil { // it has replaced itself
			p.close()
			continue
		}
		b.gone(u, "process is not running")
		if poll.Pause(ctx, pauseAfter(failures)) != nil {
			return
		}
		failures++
	}
}

func (b *Builtin) lookFor(u *unit) *process {
	b.mu.Lock()
	pidFile, k := u.PIDFile, u.known
	b.mu.Unlock()
	return b.living(pidFile, k)
}

// gone tells that a process ended by itself.
func (b *Builtin) gone(u *unit, summary string) {
	b.o.Log.Warn().Str("service", u.Name).Msg("process ended unexpectedly")
	b.mark(u, Failing, nil)
	b.o.Listener.Happened(Event{Service: u.Name, Event: "does not exist", Action: "restart", Summary: summary})
}

// mark sets the state and, with a process, remembers it.
func (b *Builtin) mark(u *unit, state string, p *process) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p != nil && u.known != (known{p.pid, p.start}) {
		u.known, u.since = known{p.pid, p.start}, b.o.Now()
		if err := b.save(); err != nil {
			b.o.Log.Error().AnErr("err", err).Msg("the supervisor's memory cannot be written")
		}
	}
	if p != nil && u.since.IsZero() {
		u.since = b.o.Now()
	}
	b.set(u, state)
}

// launch runs the start program and waits until the pid file names a living
// process. The program may go on running.
func (b *Builtin) launch(ctx context.Context, u *unit) (*process, error) {
	b.mu.Lock()
	s := u.service
	b.mu.Unlock()
	_ = os.Remove(s.PIDFile) // nothing living is behind it, and it would confuse the program
	ctx, cancel := context.WithTimeoutCause(ctx, s.Start.Timeout,
		fmt.Errorf("%s names no living process after %s", s.PIDFile, s.Start.Timeout))
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	exit, err := b.execute(s.Name, s.Start)
	if err != nil {
		return nil, err
	}
	go func() {
		if err := <-exit; err != nil {
			fail(fmt.Errorf("start program failed: %w", err))
		}
	}()
	var found *process
	err = watch.Until(ctx, []string{s.PIDFile}, func() (bool, error) {
		found = b.living(s.PIDFile, known{})
		return found != nil, nil
	})
	return found, err
}

// execute runs a program outside the agent's session, so that signals to the
// agent are not the job's. Its end is sent on the channel.
func (b *Builtin) execute(name string, c command) (<-chan error, error) {
	log, err := b.logFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot run %s: %w", c.Args[0], err)
	}
	defer log.Close()
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Dir = b.o.Home.Base()
	cmd.Env = []string{
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
		"HOME=" + b.o.Home.Base(), "TMPDIR=" + b.o.Home.Join("data", "tmp"),
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot run %s: %w", c.Args[0], err)
	}
	exit := make(chan error, 1)
	go func() { exit <- cmd.Wait() }() // reaps it, however long it takes
	return exit, nil
}

func pauseAfter(failures int) time.Duration {
	if failures == 0 {
		return 0
	}
	return min(firstPause<<min(failures-1, 10), longestWait)
}
