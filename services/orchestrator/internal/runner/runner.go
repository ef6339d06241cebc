package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/steps"
)

// errLost says that the run is somebody else's now.
var errLost = errors.New("the run was claimed by another orchestrator")

// longestPause, in seconds, is between two tries of a run that could not go on.
const longestPause = 10

// Options configure a Runner.
type Options struct {
	Conn    *bus.Conn
	Journal *journal.Journal
	Steps   *steps.Steps
	Ring    *seal.Ring // opens the requests' secrets
	Owner   string     // names this process in claims
	Source  string     // of envelopes
	Slots   int        // runs at once; default 32
	Log     zerolog.Logger
}

// Runner works on runs.
type Runner struct{ Options }

// New makes a Runner.
func New(o Options) *Runner {
	if o.Slots <= 0 {
		o.Slots = 32
	}
	return &Runner{o}
}

// Run takes requests until ctx ends.
func (r *Runner) Run(ctx context.Context) error {
	return r.Conn.Work(ctx, messages.CommandConsumer(), r.Slots, r.handle)
}

// handle is one delivery of one request. What it returns is why the request
// comes again.
func (r *Runner) handle(ctx context.Context, job *bus.Job) error {
	e, command, err := decode(job)
	log := r.Log.With().Str("deployment", e.Deployment).Str("run", e.ID).Logger()
	if err != nil {
		log.Warn().Err(err).Str("subject", job.Subject).Msg("request refused")
		return job.Drop(err.Error())
	}
	owner := fmt.Sprintf("%s-%.8s", r.Owner, uuid.NewString())
	run := &run{Runner: r, log: log, job: job, owner: owner, envelope: e, command: command}
	err = run.drive(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errLost):
		log.Info().Msg("run lost to another orchestrator")
		return nil
	case ctx.Err() != nil:
		log.Info().Msg("stopping between steps; the run goes on with the next orchestrator")
		return job.Retry(0)
	default:
		log.Warn().Err(err).Msg("run interrupted; it is tried again")
		return job.Retry(min(time.Duration(job.Deliveries), longestPause) * time.Second)
	}
}

// decode checks a request before anything is written.
func decode(job *bus.Job) (messages.Envelope, messages.Command, error) {
	var command messages.Command
	e, err := messages.Decode(job.Data, &command)
	if err != nil {
		return e, command, err
	}
	deployment, err := messages.ParseDeployment(e.Deployment)
	if err != nil {
		return e, command, err
	}
	if job.Subject != messages.CommandSubject(deployment) {
		return e, command, messages.Errorf(messages.CodeMalformed, "a request for %s came on %s", deployment, job.Subject)
	}
	if _, err := messages.ParseUID(e.DeploymentUID); err != nil {
		return e, command, err
	}
	if _, err := uuid.Parse(e.ID); err != nil {
		return e, command, messages.Errorf(messages.CodeMalformed, "the run id %q is no UUID", e.ID)
	}
	switch command.Verb {
	case messages.VerbCreate, messages.VerbUpdate, messages.VerbDelete, messages.VerbStop, messages.VerbStart, messages.VerbApply, messages.VerbSweep:
		return e, command, nil
	case messages.VerbImport:
		if command.Import != nil {
			return e, command, nil
		}
		return e, command, messages.Errorf(messages.CodeMalformed, "the import names nothing")
	}
	return e, command, messages.Errorf(messages.CodeMalformed, "the verb %q is not known", command.Verb)
}

// publish tells people something; losing it is no failure.
func (r *run) publish(fact string, data any) {
	e := messages.Envelope{
		ID: uuid.NewString(), Type: messages.Type(messages.ClassEvent, fact), Source: r.Source, Time: time.Now(),
		Deployment: r.envelope.Deployment, DeploymentUID: r.envelope.DeploymentUID, Run: r.envelope.ID,
	}
	body, err := e.Encode(data)
	if err == nil {
		err = r.Conn.Publish(messages.EventSubject(r.envelope.Deployment, messages.ServiceOrchestrator, fact), body)
	}
	if err != nil {
		r.log.Debug().Err(err).Str("event", fact).Msg("event not published")
	}
}

// refusal is an error that ends a run before its first step.
func refusal(err error) *messages.RunDone {
	return &messages.RunDone{Outcome: messages.OutcomeFailed, Error: messages.AsError(err)}
}

func foreign(name, living, asked string) error {
	return messages.Errorf(messages.CodeUIDMismatch, "the deployment %s lives under uid %s, this folder knows %s", name, living, asked).
		WithHint("deploy from the folder that made it, choose another name, or say --adopt if this folder shall own it from now on")
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot %s: %w", what, err)
}
