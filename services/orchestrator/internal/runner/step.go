package runner

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/steps"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// intend mints what the step needs, records the intent, and has it carried out.
func (r *run) intend(ctx context.Context, i messages.StepIntended) error {
	i.StepID = messages.StepID(r.envelope.DeploymentUID, i.Step, i.N)
	i.Deadline = time.Now().Add(steps.Budget(i.Step)).UTC()
	if i.Step == workflow.StepCreateVM {
		i.Inputs.AgentID, i.Inputs.VMName = "bm-"+uuid.NewString(), "vm-"+uuid.NewString()
	}
	if err := r.append(ctx, r.entry(messages.FactStepIntended, i.StepID, i)); err != nil {
		return err
	}
	// Somebody may have cancelled between the decision and this append: the
	// intent stands, is carried out, and the next decision sees the cancel.
	intent, ok := r.journal.State.Open[i.StepID]
	if !ok {
		return messages.Errorf(messages.CodeInternal, "the intent %s was not taken into the journal", i.StepID)
	}
	return r.step(ctx, intent, true)
}

// step carries an open intent out and records what came of it; a fresh one was
// recorded by this process just now.
func (r *run) step(ctx context.Context, intent messages.Intent, fresh bool) error {
	log := r.log.With().Str("step", intent.StepID).Logger()
	inherited := intent.Run != r.envelope.ID
	if inherited && !steps.OnCPI(intent.Step) {
		// What an earlier run asked of an agent may be asked again under a new
		// step id; whether it happened decides nothing.
		return r.failed(ctx, intent, true, messages.Errorf(messages.CodeInterrupted, "given up by a new run"))
	}
	call := steps.Call{
		State: r.journal.State, Intent: intent, Deadline: intent.Deadline,
		Settle: inherited && !makes(r.command.Verb), Fresh: fresh,
	}
	if inherited || time.Until(call.Deadline) <= 0 {
		call.Deadline = time.Now().Add(steps.Budget(intent.Step))
	}
	log.Debug().Msg("step begins")
	outputs, err := r.watch(ctx, call)
	switch {
	case errors.Is(err, errLost), ctx.Err() != nil && err != nil:
		return err
	case errors.Is(err, steps.ErrCut):
		// It only waited: nothing is to be finished, and what it waited for
		// decides nothing. The next decision sees the cancel.
		log.Info().Msg("wait ended by a cancel")
		return r.failed(ctx, intent, true, messages.Errorf(messages.CodeCancelled, "%w", err))
	case err == nil:
		done := messages.StepDone{Step: intent.Step, StepID: intent.StepID, N: intent.N, Outputs: outputs, Millis: time.Since(intent.Time).Milliseconds()}
		log.Info().Int64("ms", done.Millis).Msg("step done")
		if err := r.append(ctx, r.entry(messages.FactStepDone, intent.StepID, done)); err != nil {
			return err
		}
		if intent.Step == workflow.StepCreateStemcell {
			r.unload(ctx, false)
		}
		return nil
	case messages.CodeOf(err) == messages.CodeCancelled: // a CPI that tried again and did nothing
		if err := r.reload(ctx); err != nil {
			return err
		}
		cancelled := r.journal.State.Run != nil && r.journal.State.Run.Cancelled
		return r.failed(ctx, intent, cancelled, err)
	case messages.CodeOf(err) == messages.CodeUnsettled:
		log.Warn().Err(err).Msg("step unsettled")
		return err
	case !final(err) && time.Now().Before(call.Deadline):
		return err
	default:
		log.Warn().Err(err).Bool("dropped", inherited).Msg("step failed")
		return r.failed(ctx, intent, inherited, err)
	}
}

// makes tells whether a verb wants there to be a VM with everything.
func makes(v messages.Verb) bool { return v == messages.VerbCreate || v == messages.VerbUpdate }

func (r *run) failed(ctx context.Context, intent messages.Intent, dropped bool, err error) error {
	return r.append(ctx, r.entry(messages.FactStepFailed, intent.StepID, messages.StepFailed{
		Step: intent.Step, StepID: intent.StepID, N: intent.N, Error: messages.AsError(err), Dropped: dropped,
		Millis: time.Since(intent.Time).Milliseconds(),
	}))
}

// watch has the step carried out and keeps the request while that goes on, at
// most until the step's deadline. A step that takes its time is told of a
// cancel.
func (r *run) watch(ctx context.Context, call steps.Call) (json.RawMessage, error) {
	ctx, cancel := context.WithDeadline(ctx, call.Deadline.Add(time.Minute))
	defer cancel()
	heed := r.newHeed()
	defer heed.close()
	call.Cut = heed.cut
	type ending struct {
		outputs json.RawMessage
		err     error
	}
	ended := make(chan ending, 1)
	go func() {
		outputs, err := r.session.Do(ctx, call)
		ended <- ending{outputs, err}
	}()
	beat := time.NewTicker(messages.AckWait / 3)
	defer beat.Stop()
	for {
		select {
		case end := <-ended:
			return end.outputs, end.err
		case <-beat.C:
			if err := r.job.InProgress(); err != nil {
				r.log.Debug().Err(err).Msg("request not kept; another orchestrator may take it")
			}
			heed.follow(ctx, r)
		}
	}
}

// final tells whether err is a word about the step itself. Anything else (the
// bus away, nobody serving) says nothing about it: it is tried again.
func final(err error) bool {
	var e *messages.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case messages.CodeBusUnreachable, messages.CodeNoService:
		return false
	}
	return true
}
