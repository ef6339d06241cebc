package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
)

// ErrLost tells that another CPI wrote the entry meanwhile. Reload shows what.
var ErrLost = errors.New("another CPI wrote the result meanwhile")

// Bus is the part of *bus.Conn that a ledger needs.
type Bus interface {
	Last(ctx context.Context, stream, filter string) (bus.Msg, error)
	Append(ctx context.Context, a bus.Append) (uint64, error)
}

var _ Bus = (*bus.Conn)(nil)

// Step names the step that an entry is about.
type Step struct {
	Cloud   string
	Method  string
	Source  string            // the CPI process
	Command messages.Envelope // that asked for it
}

// Entry is one step's place in the ledger, as this process last saw it.
type Entry struct {
	bus     Bus
	step    Step
	subject string
	seq     uint64
	result  messages.Result
}

// Open reads a step's entry; there may be none yet.
func Open(ctx context.Context, b Bus, step Step) (*Entry, error) {
	e := &Entry{
		bus: b, step: step,
		subject: messages.ResultSubject(step.Cloud, step.Method, step.Command.Deployment, step.Command.Step),
	}
	return e, e.Reload(ctx)
}

// Result is the entry; its status is "" when there is none.
func (e *Entry) Result() messages.Result { return e.result }

// Final tells whether the step has its final result.
func (e *Entry) Final() bool { return e.result.Status.Final() }

// Reload reads the entry again.
func (e *Entry) Reload(ctx context.Context) error {
	m, err := e.bus.Last(ctx, messages.StreamResult, e.subject)
	if errors.Is(err, bus.ErrNone) {
		e.seq, e.result = 0, messages.Result{}
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the ledger entry of %s: %w", e.step.Command.Step, err)
	}
	var result messages.Result
	if _, err := messages.Decode(m.Data, &result); err != nil {
		return fmt.Errorf("cannot read the ledger entry of %s: %w", e.step.Command.Step, err)
	}
	e.seq, e.result = m.Seq, result
	return nil
}

// Write puts result in the entry's place. The error is ErrLost when another
// wrote since this process read or wrote it.
func (e *Entry) Write(ctx context.Context, result messages.Result) error {
	result.Method, result.By = e.step.Method, e.step.Source
	command := e.step.Command
	id := uuid.NewString()
	data, err := messages.Envelope{
		ID: id, Type: messages.Type(messages.ClassResult, e.step.Method), Source: e.step.Source, Time: time.Now(),
		Deployment: command.Deployment, DeploymentUID: command.DeploymentUID, Run: command.Run, Step: command.Step,
		CausationID: command.ID, TraceParent: command.TraceParent,
	}.Encode(result)
	if err != nil {
		return err
	}
	seq, err := e.bus.Append(ctx, bus.Append{Subject: e.subject, Filter: e.subject, Last: e.seq, ID: id, Data: data})
	if errors.Is(err, bus.ErrConflict) {
		return ErrLost
	}
	if err != nil {
		return fmt.Errorf("cannot write the ledger entry of %s: %w", command.Step, err)
	}
	e.seq, e.result = seq, result
	return nil
}
