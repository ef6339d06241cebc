package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/mbus"
	"github.com/microbosh/microbosh/services/agent/internal/task"
)

// Dispatcher turns requests into actions and tasks.
type Dispatcher struct {
	o       Options
	table   map[string]entry
	machine sync.Mutex // held by what changes the machine beside the tasks
}

var _ mbus.Dispatcher = (*Dispatcher)(nil)

// New makes a Dispatcher.
func New(o Options) (*Dispatcher, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	return &Dispatcher{o: o, table: table()}, nil
}

// Dispatch takes the request in: a task is recorded and queued when it returns.
func (d *Dispatcher) Dispatch(req messages.AgentRequest) func(context.Context) messages.AgentReply {
	e, ok := d.table[req.Method]
	if !ok {
		return refuse("unknown message " + clip(req.Method))
	}
	c := call{protocol: req.Protocol, args: req.Arguments}
	m := e.mode
	if e.before3 != nil && req.Protocol < 3 {
		m = *e.before3
	}
	with := d.o.Log.With().Str("op", req.Method)
	if req.StepID != "" {
		with = with.Str("step", clip(req.StepID))
	}
	log := with.Logger()
	if m == answered || m == direct {
		return func(ctx context.Context) messages.AgentReply {
			value, err := e.run(ctx, d, c)
			return d.reply(log, req.Method, value, err)
		}
	}
	if len(req.StepID) > maxStepID {
		return refuse(fmt.Sprintf("Action Failed %s: the step_id has %d bytes, at most %d are taken", req.Method, len(req.StepID), maxStepID))
	}
	t, err := d.o.Tasks.Submit(req.Method, req.StepID, func(ctx context.Context) (any, error) { return e.run(ctx, d, c) })
	if err != nil {
		return func(context.Context) messages.AgentReply { return d.reply(log, req.Method, nil, err) }
	}
	if m == async {
		running := messages.AgentTask{AgentTaskID: t.ID, State: "running"}
		return func(context.Context) messages.AgentReply { return d.reply(log, req.Method, running, nil) }
	}
	return func(ctx context.Context) messages.AgentReply {
		t, ok := d.o.Tasks.Wait(ctx, t.ID)
		switch {
		case !ok || !t.State.Ended():
			err = errors.New("the agent stopped before it was done")
		case t.State != task.Done:
			err = errors.New(t.Error)
		}
		return d.reply(log, req.Method, t.Value, err)
	}
}

const maxStepID = 256

// reply tells a failure in BOSH's words. get_task's running state and other
// values go as they are.
func (d *Dispatcher) reply(log zerolog.Logger, method string, value any, err error) messages.AgentReply {
	if err == nil {
		raw, encoding := json.Marshal(value)
		if encoding == nil {
			log.Debug().Msg("request answered")
			return messages.AgentReply{Value: raw}
		}
		err = fmt.Errorf("cannot encode the result: %w", encoding)
	}
	log.Info().AnErr("err", err).Msg("request refused")
	return mbus.Exception("Action Failed " + method + ": " + err.Error())
}

func refuse(message string) func(context.Context) messages.AgentReply {
	return func(context.Context) messages.AgentReply { return mbus.Exception(message) }
}

func clip(s string) string {
	const longest = 128
	if len(s) > longest {
		return s[:longest] + "..."
	}
	return s
}

// getTask answers with the running state or the task's own value. With a wait
// it answers when the task ends.
func getTask(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var id string
	if err := c.arg(0, &id); err != nil {
		return nil, err
	}
	if wait := waitOf(c); wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	} else {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		cancel()
	}
	t, ok := d.o.Tasks.Wait(ctx, id)
	switch {
	case !ok:
		return nil, fmt.Errorf("Task with id %s could not be found", clip(id)) //nolint:staticcheck // BOSH's text
	case !t.State.Ended():
		return messages.AgentTask{AgentTaskID: t.ID, State: "running"}, nil
	case t.State == task.Interrupted:
		return nil, fmt.Errorf("Task %s result: interrupted: %s; it is not known how far it came, ask again with the same step_id to run it again", t.ID, t.Error) //nolint:staticcheck // BOSH's text
	case t.State != task.Done:
		return nil, fmt.Errorf("Task %s result: %s", t.ID, t.Error) //nolint:staticcheck // BOSH's text
	default:
		return t.Value, nil
	}
}

// maxWait bounds get_task's wait.
const maxWait = 5 * time.Minute

func waitOf(c call) time.Duration {
	var w messages.TaskWait
	if len(c.args) < 2 || json.Unmarshal(c.args[1], &w) != nil {
		return 0
	}
	wait, err := time.ParseDuration(w.Wait)
	if err != nil {
		return 0
	}
	return min(wait, maxWait)
}

// cancelTask ends what can be ended half-way without harm.
func cancelTask(_ context.Context, d *Dispatcher, c call) (any, error) {
	var id string
	if err := c.arg(0, &id); err != nil {
		return nil, err
	}
	t, ok := d.o.Tasks.Get(id)
	if !ok {
		return nil, fmt.Errorf("Task with id %s could not be found", clip(id)) //nolint:staticcheck // BOSH's text
	}
	if !d.table[t.Method].cancel {
		return nil, fmt.Errorf("Cancelling task: %s: not supported", t.Method) //nolint:staticcheck // BOSH's text
	}
	return "canceled", d.o.Tasks.Cancel(id)
}
