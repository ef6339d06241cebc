package cpi

import (
	"context"
	"fmt"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/ledger"
)

// handle works on one command and holds its message meanwhile. A command that
// ends without a result in the ledger stays in the queue.
func (w *worker) handle(ctx context.Context, job *bus.Job) error {
	step, err := w.decode(job)
	if err != nil {
		w.Log.Warn().Err(err).Str("subject", job.Subject).Uint64("seq", job.Seq).Msg("unreadable step command dropped")
		return job.Drop(err.Error())
	}
	done := make(chan error, 1)
	go func() { done <- w.work(ctx, step) }()
	ticker := time.NewTicker(messages.AckWait / 3)
	defer ticker.Stop()
	limit := max(time.Until(step.command.Deadline), 0) + 2*w.Grace
	for end := time.Now().Add(limit); ; {
		select {
		case err := <-done:
			if err != nil {
				return w.giveBack(ctx, job, err)
			}
			return job.Done(ctx)
		case <-ticker.C:
			if time.Now().After(end) {
				continue
			}
			if err := job.InProgress(); err != nil {
				step.Log.Debug().Err(err).Msg("the queue was not told of progress")
			}
		}
	}
}

// giveBack leaves the command to another CPI, or to this one a little later.
func (w *worker) giveBack(ctx context.Context, job *bus.Job, err error) error {
	pause := time.Second
	if ctx.Err() != nil {
		pause = 0
	}
	if again := job.Retry(pause); again != nil {
		w.Log.Debug().Err(again).Msg("the command comes back when its time is over")
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (w *worker) work(ctx context.Context, s *Step) error {
	entry, err := ledger.Open(ctx, w.Conn, ledger.Step{
		Cloud: w.Cloud, Method: s.command.Method, Source: w.source, Command: s.envelope,
	})
	if err != nil {
		return err
	}
	s.entry = entry
	s.remember()
	return s.conclude(ctx)
}

// decode reads a command and checks that it is for the subject it came on.
func (w *worker) decode(job *bus.Job) (*Step, error) {
	var command messages.StepCommand
	envelope, err := messages.Decode(job.Data, &command)
	if err != nil {
		return nil, err
	}
	if _, err := messages.ParseDeployment(envelope.Deployment); err != nil {
		return nil, err
	}
	uid, _, _, err := messages.ParseStepID(envelope.Step)
	if err != nil {
		return nil, err
	}
	if envelope.DeploymentUID != "" && envelope.DeploymentUID != uid {
		return nil, messages.Errorf(messages.CodeMalformed, "the step %s is not of the deployment uid %s", envelope.Step, envelope.DeploymentUID)
	}
	if job.Subject != messages.StepSubject(w.Cloud, command.Method, envelope.Deployment) {
		return nil, messages.Errorf(messages.CodeMalformed, "the command is for another subject than %s", job.Subject)
	}
	if command.Deadline.IsZero() {
		return nil, messages.Errorf(messages.CodeMalformed, "the command has no deadline")
	}
	s := &Step{
		worker: w, envelope: envelope, command: command, settling: command.Settle,
		Log: w.Log.With().Str("deployment", envelope.Deployment).Str("run", envelope.Run).Str("step", envelope.Step).Logger(),
	}
	s.secrets, s.secretsErr = w.open(command.Secrets)
	if s.secretsErr == nil {
		s.command.Args, s.secretsErr = messages.Overlay(command.Args, s.secrets.Args)
	}
	if s.secretsErr != nil {
		s.secretsErr = fmt.Errorf("cannot open the secrets of %s: %w", envelope.Step, s.secretsErr)
	}
	return s, nil
}
