package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

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
	params, err := d.drainParams(kind, s, c)
	if err != nil {
		return nil, err
	}
	if err := d.o.Supervisor.Unmonitor(ctx); err != nil {
		return nil, fmt.Errorf("Unmonitoring services: %w", err) //nolint:staticcheck // BOSH's text
	}
	scripts, err := d.scripts(s, "drain")
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	var mu sync.Mutex // guards failed
	var failed []error
	for job, path := range scripts {
		wg.Go(func() {
			if err := d.drainJob(ctx, job, path, params); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, fmt.Errorf("job %s: %w", job, err))
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return 0, errors.Join(failed...)
}

// drainParams are the arguments and the environment of the scripts. The state
// is in the variables of 2014 and in those of today.
type drainParams struct{ args, env []string }

func (d *Dispatcher) drainParams(kind string, now spec, c call) (p drainParams, err error) {
	next := now
	switch kind {
	case "shutdown":
		if err := d.o.Goodbye(); err != nil {
			d.o.Log.Warn().AnErr("err", err).Msg("the shutdown notice could not be sent")
		}
		p.args = []string{"job_shutdown", "hash_unchanged"}
		if len(c.args) > 1 && string(c.args[1]) != "null" {
			if next, err = parseSpec(c.args[1]); err != nil {
				return p, err
			}
		}
	case "update":
		if len(c.args) < 2 {
			return p, errors.New("Drain update called without apply spec") //nolint:staticcheck // BOSH's text
		}
		if next, err = parseSpec(c.args[1]); err != nil {
			return p, err
		}
		p.args = drainArgs(now, next)
	case "status":
		p.args = statusArgs()
	default:
		return p, fmt.Errorf("Unknown drain type %s", clip(kind)) //nolint:staticcheck // BOSH's text
	}
	for name, s := range map[string]spec{"BOSH_CURRENT_STATE": now, "BOSH_APPLY_SPEC": next} {
		raw, err := json.Marshal(s.raw)
		if err != nil {
			return p, err
		}
		p.env = append(p.env, name+"="+string(raw))
	}
	p.env = append(p.env, "BOSH_JOB_STATE="+diskState(now), "BOSH_JOB_NEXT_STATE="+diskState(next))
	return p, nil
}

func statusArgs() []string { return []string{"job_check_status", "hash_unchanged"} }

// diskState is what today's drain scripts are told of a spec.
func diskState(s spec) string {
	size := json.RawMessage("0")
	if raw, ok := s.raw["persistent_disk"]; ok {
		size = raw
	}
	state, err := json.Marshal(map[string]json.RawMessage{"persistent_disk": size})
	if err != nil {
		return "{}"
	}
	return string(state)
}

var drainAnswer = regexp.MustCompile(`^-?[0-9]{1,6}$`)

// drainJob follows the script's contract: n seconds to wait, and when negative
// to ask again after them.
func (d *Dispatcher) drainJob(ctx context.Context, job, path string, p drainParams) error {
	args := p.args
	for {
		out, err := script{path: path, args: args, env: p.env, logs: d.o.Home.Join("sys", "log", job, "drain")}.run(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		answer := strings.TrimSpace(out)
		if err != nil || !drainAnswer.MatchString(answer) {
			code := 0
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				code = exit.ExitCode()
			} else if err != nil {
				return fmt.Errorf("Drain script: %w", err) //nolint:staticcheck // BOSH's text
			}
			return fmt.Errorf("Drain script exit %d: %s", code, out) //nolint:staticcheck // BOSH's text
		}
		seconds, err := strconv.Atoi(answer)
		if err != nil {
			return fmt.Errorf("Drain script exit 0: %s", answer) //nolint:staticcheck // BOSH's text
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
		args = statusArgs()
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
