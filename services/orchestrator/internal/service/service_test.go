package service_test

import (
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

func (l *lab) want(run string, outcome messages.Outcome) messages.RunDone {
	l.t.Helper()
	done := l.story(run, nil)
	if done.Outcome != outcome {
		l.t.Fatalf("the run ended %s (%+v), want %s", done.Outcome, done, outcome)
	}
	return done
}

// once makes sure that no step took effect twice.
func (l *lab) once() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for step, n := range l.made {
		if n > 1 {
			l.t.Errorf("%s took effect %d times", step, n)
		}
	}
}

func (l *lab) things() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.cloud)
}

func TestLife(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.orchestrator()
	l.want(l.send(messages.VerbCreate, "s1", 4096), messages.OutcomeSucceeded)
	l.want(l.send(messages.VerbUpdate, "s1", 4096), messages.OutcomeSkipped)
	l.want(l.send(messages.VerbUpdate, "s2", 8192), messages.OutcomeSucceeded)
	if got := l.things(); got != 3 {
		t.Errorf("%d things in the cloud, want image, server, volume", got)
	}
	l.mu.Lock()
	if got := l.asked["get_state"]; got != 6 { // in both runs until the jobs ran
		t.Errorf("get_state was asked %d times, want 6", got)
	}
	l.mu.Unlock()
	done := l.want(l.send(messages.VerbCreate, "s2", 8192), messages.OutcomeFailed)
	if done.Error == nil || done.Error.Code != messages.CodeInstanceExists {
		t.Errorf("create over what exists: %+v", done.Error)
	}
	l.want(l.send(messages.VerbDelete, "s2", 8192), messages.OutcomeSucceeded)
	if got := l.things(); got != 0 {
		t.Errorf("%d things are left", got)
	}
	l.once()
	var status messages.StatusReply
	if err := l.conn.Call(t.Context(), messages.ServiceSubject(messages.ServiceOrchestrator, messages.SvcStatus), messages.DeploymentRequest{Deployment: "micro"}, &status); err != nil {
		t.Fatal(err)
	}
	if status.State.UID != "" || status.Last == nil || status.Last.Verb != messages.VerbDelete {
		t.Errorf("status after delete: %+v", status)
	}
}

func TestFailedStepEndsTheRunAndIsResumed(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.orchestrator()
	l.fail[messages.MethodCreateDisk] = "no space"
	done := l.want(l.send(messages.VerbCreate, "s1", 4096), messages.OutcomeFailed)
	if done.Step != "create_disk" || done.Error == nil || done.Error.Message != "no space" {
		t.Errorf("ended as %+v", done)
	}
	l.want(l.send(messages.VerbCreate, "s1", 4096), messages.OutcomeSucceeded)
	if got := l.things(); got != 3 {
		t.Errorf("%d things in the cloud, want 3: the VM of the failed run is kept", got)
	}
	l.once()
}

// The owner ends in the middle of every step in turn; another takes over.
func TestTakeover(t *testing.T) {
	t.Parallel()
	for _, method := range []string{
		messages.MethodCreateStemcell, messages.MethodCreateVM, messages.MethodDiscoverIP, messages.MethodCreateDisk, messages.MethodAttachDisk,
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			gate := make(chan any)
			l.gate[method] = gate
			stop := l.orchestrator()
			run := l.send(messages.VerbCreate, "s1", 4096)
			owners := map[string]bool{}
			done := l.story(run, func(fact string, e messages.Envelope) {
				switch fact {
				case messages.FactRunClaimed:
					owners[e.Source+e.ID] = true
				case messages.FactStepIntended:
					var i messages.StepIntended
					if err := e.Into(&i); err != nil {
						t.Fatal(err)
					}
					if i.Step == method && stop != nil {
						stop()
						stop = nil
						l.orchestrator()
						close(gate)
					}
				}
			})
			if done.Outcome != messages.OutcomeSucceeded || len(owners) != 2 {
				t.Errorf("ended %s after %d claims", done.Outcome, len(owners))
			}
			if got := l.things(); got != 3 {
				t.Errorf("%d things in the cloud, want 3", got)
			}
			l.once()
		})
	}
}

func TestCancelFinishesTheEffectInFlight(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	gate := make(chan any)
	l.gate[messages.MethodCreateVM] = gate
	l.orchestrator()
	run := l.send(messages.VerbCreate, "s1", 4096)
	done := l.story(run, func(fact string, e messages.Envelope) {
		if fact != messages.FactStepIntended {
			return
		}
		var i messages.StepIntended
		if err := e.Into(&i); err != nil {
			t.Fatal(err)
		}
		if i.Step != messages.MethodCreateVM {
			return
		}
		request := messages.CancelRequest{Deployment: "micro", Run: run}
		if err := l.conn.Call(t.Context(), messages.ServiceSubject(messages.ServiceOrchestrator, messages.SvcCancel), request, nil); err != nil {
			t.Error(err)
		}
		close(gate)
	})
	if done.Outcome != messages.OutcomeCancelled {
		t.Errorf("ended %s", done.Outcome)
	}
	if got := l.things(); got != 2 {
		t.Errorf("%d things in the cloud, want the image and the server that was under way", got)
	}
	l.want(l.send(messages.VerbDelete, "s1", 4096), messages.OutcomeSucceeded)
	if got := l.things(); got != 0 {
		t.Errorf("%d things are left", got)
	}
}
