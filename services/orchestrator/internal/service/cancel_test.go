package service_test

import (
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

func (l *lab) cancel(run string) {
	l.t.Helper()
	request := messages.CancelRequest{Deployment: "micro", Run: run}
	if err := l.conn.Call(l.t.Context(), messages.ServiceSubject(messages.ServiceOrchestrator, messages.SvcCancel), request, nil); err != nil {
		l.t.Error(err)
	}
}

// A wait is no effect: a cancel ends it long before its deadline, and what is
// in the cloud is known. story gives up after a minute, wait_agent after ten.
func TestCancelEndsAWait(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.deaf = true
	l.orchestrator()
	run := l.send(messages.VerbCreate, "s1", 4096)
	var failed messages.StepFailed
	done := l.story(run, func(fact string, e messages.Envelope) {
		switch fact {
		case messages.FactStepIntended:
			var i messages.StepIntended
			if err := e.Into(&i); err != nil {
				t.Fatal(err)
			}
			if i.Step == "wait_agent" {
				l.cancel(run)
			}
		case messages.FactStepFailed:
			if err := e.Into(&failed); err != nil {
				t.Fatal(err)
			}
		}
	})
	if done.Outcome != messages.OutcomeCancelled {
		t.Errorf("ended %s (%v)", done.Outcome, done.Error)
	}
	if failed.Step != "wait_agent" || !failed.Dropped || failed.Error.Code != messages.CodeCancelled {
		t.Errorf("the wait ended as %+v", failed)
	}
	if got := l.things(); got != 2 {
		t.Errorf("%d things in the cloud, want image and server", got)
	}
	l.mu.Lock()
	l.deaf = false
	l.mu.Unlock()
	l.want(l.send(messages.VerbCreate, "s1", 4096), messages.OutcomeSucceeded)
	if got := l.things(); got != 3 {
		t.Errorf("%d things in the cloud, want 3: the cancelled run's VM is gone on with", got)
	}
	l.once()
}

// A cancel that was asked for while no orchestrator lived is heeded by the one
// that takes the run over, which waits for nothing.
func TestCancelledWaitIsNotTakenUpAgain(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.deaf = true
	stop := l.orchestrator()
	run := l.send(messages.VerbCreate, "s1", 4096)
	done := l.story(run, func(fact string, e messages.Envelope) {
		var i messages.StepIntended
		if fact != messages.FactStepIntended || e.Into(&i) != nil || i.Step != "wait_agent" {
			return
		}
		l.cancel(run)
		stop()
		l.orchestrator()
	})
	if done.Outcome != messages.OutcomeCancelled {
		t.Errorf("ended %s (%v)", done.Outcome, done.Error)
	}
}
