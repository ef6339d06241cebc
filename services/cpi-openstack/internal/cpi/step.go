package cpi

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/ledger"
)

// progressEvery is the shortest time between two progress events of a step.
const progressEvery = 250 * time.Millisecond

// Step is one step command at work. Only its method's goroutine uses it, but
// for Progress.
type Step struct {
	Log zerolog.Logger

	worker     *worker
	envelope   messages.Envelope
	command    messages.StepCommand
	secrets    messages.StepSecrets
	secretsErr error
	entry      *ledger.Entry

	settling bool      // only ask what became of an earlier try
	window   time.Time // until then something posted may still appear
	clean    bool      // nothing of this step is in the cloud
	made     []string  // what this process made and did not remove
	maker    Maker     // of a create, once it began

	mu   sync.Mutex
	told time.Time // guarded by mu; when progress was last told
}

// ID is the step id.
func (s *Step) ID() string { return s.envelope.Step }

// Deployment is the deployment's name.
func (s *Step) Deployment() string { return s.envelope.Deployment }

// Secrets are what the command's sender sealed for this CPI.
func (s *Step) Secrets() messages.StepSecrets { return s.secrets }

// Args reads the method's arguments.
func (s *Step) Args(into any) error {
	dec := json.NewDecoder(bytes.NewReader(s.command.Args))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return messages.Errorf(messages.CodeMalformed, "cannot read the arguments of %s: %v", s.command.Method, err)
	}
	return nil
}

// Progress tells people how far the step is, a few times a second at most.
func (s *Step) Progress(message string, done, total int64) {
	now := time.Now()
	s.mu.Lock()
	soon := now.Sub(s.told) < progressEvery
	if !soon {
		s.told = now
	}
	s.mu.Unlock()
	if soon {
		return
	}
	if s.worker.Conn == nil {
		s.Log.Info().Int64("done", done).Int64("total", total).Str("what", message).Msg("progress")
		return
	}
	_, name, _, _ := messages.ParseStepID(s.ID())
	data, err := messages.Envelope{
		ID: uuid.NewString(), Type: messages.Type(messages.ClassEvent, messages.EventProgress), Source: s.worker.source, Time: now,
		Deployment: s.envelope.Deployment, DeploymentUID: s.envelope.DeploymentUID, Run: s.envelope.Run, Step: s.ID(),
		CausationID: s.envelope.ID, TraceParent: s.envelope.TraceParent,
	}.Encode(messages.Progress{Step: name, StepID: s.ID(), Message: message, Done: done, Total: total})
	if err == nil {
		subject := messages.EventSubject(s.Deployment(), messages.CPIService(s.worker.Cloud), messages.EventProgress)
		err = s.worker.Conn.Publish(subject, data)
	}
	if err != nil {
		s.Log.Debug().Err(err).Msg("progress not told")
	}
}

// Note records which resource this step is about while it is not ready yet.
func (s *Step) Note(ctx context.Context, cid string) error {
	r := s.entry.Result()
	if r.CID == cid && r.Status == messages.ResultPosting {
		return nil
	}
	return s.choose(ctx, cid)
}

// choose records the resource in any case: who can write is the only one who
// may act on the choice.
func (s *Step) choose(ctx context.Context, cid string) error {
	r := s.entry.Result()
	r.Status, r.CID, r.Error, r.Outputs = messages.ResultPosting, cid, nil, nil
	if r.Deadline.IsZero() {
		r.Deadline = time.Now().Add(s.worker.Settle).UTC()
	}
	return s.entry.Write(ctx, r)
}

// Discard removes a resource of this step that came to nothing, so that the
// step's failure is final.
func (s *Step) Discard(ctx context.Context, cid string, remove func(context.Context, string) error) error {
	if err := remove(ctx, cid); err != nil {
		return err
	}
	s.forget(cid)
	s.clean = true
	return nil
}

// forget drops what is no longer there from what this process made.
func (s *Step) forget(cid string) {
	s.made = slices.DeleteFunc(s.made, func(made string) bool { return made == cid })
}

// open tells whether the ledger says that something may be in the cloud.
func (s *Step) open() bool {
	status := s.entry.Result().Status
	return status == messages.ResultPosting || status == messages.ResultUnsettled
}

// remember takes the settle window from the ledger.
func (s *Step) remember() {
	if s.open() {
		s.window = s.entry.Result().Deadline
	}
}
