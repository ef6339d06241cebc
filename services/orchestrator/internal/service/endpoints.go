package service

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/steps"
)

// endpoints answer for the journal. They change nothing but by appending
// cancel_requested.
type endpoints struct {
	journal *journal.Journal
	steps   *steps.Steps
	ring    *seal.Ring
	source  string
}

type endpoint = func(context.Context, []byte) (any, error)

func (e endpoints) table() map[string]endpoint {
	return map[string]endpoint{
		messages.SvcStatus:      typed(e.status),
		messages.SvcDeployments: typed(e.deployments),
		messages.SvcCancel:      typed(e.cancel),
		messages.SvcAgent:       typed(e.agent),
	}
}

func typed[T any](handle func(context.Context, T) (any, error)) endpoint {
	return func(ctx context.Context, body []byte) (any, error) {
		var request T
		if err := json.Unmarshal(body, &request); err != nil {
			return nil, messages.Errorf(messages.CodeMalformed, "the request cannot be read: %w", err)
		}
		return handle(ctx, request)
	}
}

func (e endpoints) load(ctx context.Context, name string) (*journal.Log, error) {
	deployment, err := messages.ParseDeployment(name)
	if err != nil {
		return nil, err
	}
	return e.journal.Load(ctx, deployment)
}

func (e endpoints) status(ctx context.Context, r messages.DeploymentRequest) (any, error) {
	log, err := e.load(ctx, r.Deployment)
	if err != nil {
		return nil, err
	}
	s := log.State
	reply := messages.StatusReply{State: s.Snapshot, Seq: log.Seq}
	if run := s.Run; run != nil {
		reply.Run = &messages.RunStatus{Run: run.ID, Verb: run.Verb, Owner: run.Owner, Cancelled: run.Cancelled}
		for _, intent := range s.Open {
			reply.Run.Step = intent.Step
		}
	}
	if n := len(s.FinishedRuns); n > 0 {
		reply.Last = &s.FinishedRuns[n-1]
	}
	return reply, nil
}

func (e endpoints) deployments(ctx context.Context, _ struct{}) (any, error) {
	names, err := e.journal.Deployments(ctx)
	if err != nil {
		return nil, err
	}
	reply := messages.DeploymentsReply{Deployments: []messages.Snapshot{}}
	for _, name := range names {
		log, err := e.load(ctx, name)
		if err != nil {
			return nil, err
		}
		if log.State.UID != "" {
			reply.Deployments = append(reply.Deployments, log.State.Snapshot)
		}
	}
	return reply, nil
}

// cancel records the wish; the run's owner sees it at its next append.
func (e endpoints) cancel(ctx context.Context, r messages.CancelRequest) (any, error) {
	log, err := e.load(ctx, r.Deployment)
	if err != nil {
		return nil, err
	}
	for {
		run := log.State.Run
		if run == nil || (r.Run != "" && run.ID != r.Run) {
			return nil, messages.Errorf(messages.CodeNoDeployment, "no such run of %s is open", r.Deployment)
		}
		if run.Cancelled {
			return struct{}{}, nil
		}
		err := log.Append(ctx, journal.Entry{
			Fact: messages.FactCancelRequested, UID: log.State.UID, Run: run.ID, Data: messages.CancelRequested{By: r.By},
		})
		if !errors.Is(err, journal.ErrBehind) {
			return struct{}{}, err
		}
		if err := log.Reload(ctx); err != nil {
			return nil, err
		}
	}
}

// agent hands a message to a deployment's agent, unless a run is talking to it.
func (e endpoints) agent(ctx context.Context, r messages.AgentCall) (any, error) {
	log, err := e.load(ctx, r.Deployment)
	if err != nil {
		return nil, err
	}
	if _, err := messages.ParseToken("call id", r.ID); err != nil {
		return nil, err
	}
	switch {
	case log.State.Run != nil:
		return nil, messages.Errorf(messages.CodeRunOpen, "a run of %s is open (%s %s)", r.Deployment, log.State.Run.Verb, log.State.Run.ID).
			WithHint("wait for its end; `microbosh status` shows it")
	case log.State.VM == nil:
		return nil, messages.Errorf(messages.CodeNoDeployment, "%s has no VM", r.Deployment)
	}
	var arguments []json.RawMessage
	if !r.Arguments.Empty() {
		if err := e.ring.Open(r.Arguments, &arguments); err != nil {
			return nil, err
		}
	}
	var mbus string
	if !r.Mbus.Empty() {
		if err := e.ring.Open(r.Mbus, &mbus); err != nil {
			return nil, err
		}
	}
	reply, err := e.steps.Message(ctx, *log.State.VM, mbus, messages.AgentRequest{Method: r.Method, Arguments: arguments, StepID: r.ID})
	if err != nil {
		return nil, err
	}
	sealed, err := e.ring.Seal(r.Asker, reply)
	if err != nil {
		return nil, err
	}
	return messages.AgentCallReply{Reply: sealed}, nil
}
