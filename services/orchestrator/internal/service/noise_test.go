package service_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/microbosh/microbosh/pkg/messages"
)

// badNames cannot be a token of a subject.
func badNames() []string {
	return []string{"", "a.b", "*", ">", "a b", "a\nb", "-a", "\u00e4", strings.Repeat("x", 300)}
}

// TestNoiseOnTheSubjects: what cannot be read, or is about nothing that this
// orchestrator knows, is passed over, and the service goes on. It is said before
// the run, in its middle, and between two runs.
func TestNoiseOnTheSubjects(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.orchestrator()
	l.noise()
	run := l.send(messages.VerbCreate, "s1", 1024)
	done := l.story(run, func(fact string, e messages.Envelope) {
		if fact == messages.FactStepIntended && intended(t, e).Step == messages.MethodCreateVM {
			l.noise()
		}
	})
	if done.Outcome != messages.OutcomeSucceeded {
		t.Fatalf("ended %s: %+v", done.Outcome, done.Error)
	}
	l.noise()
	l.want(l.send(messages.VerbUpdate, "s1", 1024), messages.OutcomeSkipped)
	l.want(l.send(messages.VerbDelete, "s1", 1024), messages.OutcomeSucceeded)
	if l.things() != 0 {
		t.Errorf("left behind: %v", l.cloud)
	}
	l.once()
}

// noise says things that nobody can use, on every subject that an orchestrator
// reads.
func (l *lab) noise() {
	l.t.Helper()
	ctx := l.t.Context()
	encode := func(class, name, step string, body any) []byte {
		e := messages.Envelope{
			ID: uuid.NewString(), Type: messages.Type(class, name), Source: "noise", Deployment: "micro", DeploymentUID: uid, Run: uuid.NewString(), Step: step,
		}
		data, err := e.Encode(body)
		if err != nil {
			l.t.Fatal(err)
		}
		return data
	}
	unreadable := [][]byte{nil, []byte("hello"), []byte("{}"), []byte("[1]"), []byte(`{"specversion":"9.9","id":"x"}`), {0, 1, 2}}

	lost := messages.StepID(uid, messages.MethodCreateVM, 77)
	facts := append(unreadable[:len(unreadable):len(unreadable)],
		encode(messages.ClassFact, "vm_painted", "", map[string]string{"colour": "red"}),
		encode(messages.ClassFact, messages.FactStepDone, lost, messages.StepDone{Step: messages.MethodCreateVM, StepID: lost, N: 77}),
	)
	for _, data := range facts {
		if _, err := l.conn.Send(ctx, messages.JournalSubject("micro", "vm_painted"), "", data); err != nil {
			l.t.Fatal(err)
		}
	}
	results := append(unreadable[:len(unreadable):len(unreadable)],
		encode(messages.ClassResult, messages.MethodCreateVM, lost, messages.Result{Status: messages.ResultDone, Method: messages.MethodCreateVM, CID: "nobody's"}),
	)
	for _, data := range results {
		if _, err := l.conn.Send(ctx, messages.ResultSubject("openstack", messages.MethodCreateVM, "micro", lost), "", data); err != nil {
			l.t.Fatal(err)
		}
	}
	for i, data := range append(unreadable, []byte(`{"specversion":"1.0","id":"x","type":"bosh.v1.cmd.create","deployment":"a.b"}`)) {
		if _, err := l.conn.Send(ctx, messages.CommandSubject("noise"+string(rune('a'+i))), "", data); err != nil && ctx.Err() != nil {
			l.t.Fatal(err)
		} // a slot may still hold the noise of before
	}
	l.badRequests(ctx)
}

// badRequests asks the micro service for what cannot be.
func (l *lab) badRequests(ctx context.Context) {
	l.t.Helper()
	for _, name := range badNames() {
		for method, request := range map[string]any{
			messages.SvcStatus: messages.DeploymentRequest{Deployment: name},
			messages.SvcCancel: messages.CancelRequest{Deployment: name},
			messages.SvcAgent:  messages.AgentCall{Deployment: name, ID: "x", Method: "ping"},
		} {
			err := l.conn.Call(ctx, messages.ServiceSubject(messages.ServiceOrchestrator, method), request, nil)
			if messages.CodeOf(err) != messages.CodeInvalidName {
				l.t.Errorf("%s of %.20q: %v", method, name, err)
			}
		}
	}
	err := l.conn.Call(ctx, messages.ServiceSubject(messages.ServiceOrchestrator, messages.SvcStatus), []int{1}, nil)
	if messages.CodeOf(err) != messages.CodeMalformed {
		l.t.Errorf("a request that is no object: %v", err)
	}
}
