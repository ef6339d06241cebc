package cpi

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/ledger"
)

// abandonTimeout is how long it may take to remove what came to nothing.
const abandonTimeout = 5 * time.Minute

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
	result := s.entry.Result()
	if result.Status == messages.ResultDone {
		return result.Outputs, nil
	}
	if result.Status == messages.ResultUnsettled {
		if err := s.abandon(ctx); err != nil {
			return nil, messages.Errorf(result.Error.Code, "%s; what was made of it could not be removed: %v", result.Error.Message, err).
				WithHint("look for what carries %s in its metadata or tags, and remove it by hand", o.Step)
		}
	}
	return nil, result.Error
}

// abandon removes what the step made and its caller will never hear of.
func (s *Step) abandon(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, abandonTimeout)
	defer cancel()
	for _, cid := range append(slices.Clone(s.made), s.entry.Result().CID) {
		if cid == "" || s.maker.Remove == nil {
			continue
		}
		if err := s.maker.Remove(limited, cid); err != nil {
			return err
		}
	}
	if s.maker.Undo == nil {
		return nil
	}
	return s.maker.Undo(limited)
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
