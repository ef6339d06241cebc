package cpi

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/ledger"
)

// Once is one method's work without a bus, for a CPI that is a process per
// call. Nobody remembers what it did: who calls it owns what it names.
type Once struct {
	Cloud      string
	Deployment string
	Step       string // step id
	Args       any
	Secrets    messages.StepSecrets
	Deadline   time.Time
	Settle     time.Duration // default 120 s
	Log        zerolog.Logger
	Methods    map[string]Method
}

// Run does it and gives its outputs.
func (o Once) Run(ctx context.Context, method string) (json.RawMessage, error) {
	args, err := json.Marshal(o.Args)
	if err != nil {
		return nil, messages.Errorf(messages.CodeMalformed, "the arguments of %s cannot be written: %w", method, err)
	}
	if o.Settle <= 0 {
		o.Settle = DefaultSettle
	}
	uid, _, _, err := messages.ParseStepID(o.Step)
	if err != nil {
		return nil, err
	}
	w := &worker{source: "cpi", Options: Options{Cloud: o.Cloud, Settle: o.Settle, Grace: defaultGrace, Log: o.Log, Methods: o.Methods}}
	s := &Step{
		worker: w, Log: o.Log, secrets: o.Secrets,
		envelope: messages.Envelope{ID: o.Step, Deployment: o.Deployment, DeploymentUID: uid, Step: o.Step},
		command:  messages.StepCommand{Method: method, Args: args, Deadline: o.Deadline},
	}
	if s.entry, err = ledger.Open(ctx, &slip{}, ledger.Step{Cloud: o.Cloud, Method: method, Source: w.source, Command: s.envelope}); err != nil {
		return nil, err
	}
	if err := s.conclude(ctx); err != nil {
		return nil, err
	}
	if result := s.entry.Result(); result.Status != messages.ResultDone {
		return nil, result.Error
	}
	return s.entry.Result().Outputs, nil
}

// slip is a ledger of one entry that ends with the process.
type slip struct {
	mu   sync.Mutex
	last bus.Msg // guarded by mu
}

var _ ledger.Bus = (*slip)(nil)

// Last gives the entry.
func (s *slip) Last(context.Context, string, string) (bus.Msg, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.Seq == 0 {
		return bus.Msg{}, bus.ErrNone
	}
	return s.last, nil
}

// Append writes the entry.
func (s *slip) Append(_ context.Context, a bus.Append) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = bus.Msg{Subject: a.Subject, Data: a.Data, ID: a.ID, Seq: s.last.Seq + 1, Time: time.Now()}
	return s.last.Seq, nil
}
