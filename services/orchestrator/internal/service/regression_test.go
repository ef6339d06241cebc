package service_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// holds tells whether what the n-th use of a step made is in the cloud.
func (l *lab) holds(step string, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.cloud["cid-"+messages.StepID(uid, step, n)]
	return ok
}

// TestRegressionBoshCLI731FailedRecreateKeepsItsStemcell: bosh-cli#731, where a
// failed recreate left an empty pointer to the stemcell in use, and the next run
// deleted that stemcell as unused. Only what the journal proves superseded goes.
func TestRegressionBoshCLI731FailedRecreateKeepsItsStemcell(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.orchestrator()
	l.want(l.send(messages.VerbCreate, "s1", 4096), messages.OutcomeSucceeded)
	for range 2 {
		l.refuse(messages.MethodCreateVM)
		l.want(l.send(messages.VerbUpdate, "s2", 4096), messages.OutcomeFailed)
		if !l.holds("create_stemcell", 2) || !l.holds("create_disk", 1) {
			t.Fatalf("a failed recreate deleted what the next run needs: %v", l.cloud)
		}
	}
	l.want(l.send(messages.VerbUpdate, "s2", 4096), messages.OutcomeSucceeded)
	if !l.holds("create_stemcell", 2) || l.holds("create_stemcell", 1) || l.things() != 3 {
		t.Errorf("after the recreate the cloud holds %v", l.cloud)
	}
	l.once()
}

// TestRegressionBosh1393CancelKeepsTheVM: bosh#1393, where a cancel in the
// middle of a deploy lost the VM from the database, and the next run made
// another. The VM that was under way is finished, recorded and used.
func TestRegressionBosh1393CancelKeepsTheVM(t *testing.T) {
	t.Parallel()
	for _, method := range []string{messages.MethodCreateVM, messages.MethodDiscoverIP, messages.MethodCreateDisk} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			gate := make(chan any)
			l.gate[method] = gate
			l.orchestrator()
			run := l.send(messages.VerbCreate, "s1", 4096)
			done := l.story(run, func(fact string, e messages.Envelope) {
				if fact != messages.FactStepIntended || intended(t, e).Step != method {
					return
				}
				request := messages.CancelRequest{Deployment: "micro", Run: run}
				if err := l.conn.Call(t.Context(), messages.ServiceSubject(messages.ServiceOrchestrator, messages.SvcCancel), request, nil); err != nil {
					t.Error(err)
				}
				close(gate)
			})
			if done.Outcome != messages.OutcomeCancelled || !l.holds("create_vm", 1) {
				t.Fatalf("ended %s with %v in the cloud", done.Outcome, l.cloud)
			}
			l.want(l.send(messages.VerbCreate, "s1", 4096), messages.OutcomeSucceeded)
			if !l.holds("create_vm", 1) || l.things() != 3 {
				t.Errorf("the next run left %v in the cloud", l.cloud)
			}
			l.once()
		})
	}
}

// TestRedeliveryToTheSameProcess: a request that comes again to the process that
// still works on it is worked on once: the later delivery owns the run, the
// earlier one stops at its next fact.
func TestRedeliveryToTheSameProcess(t *testing.T) {
	t.Parallel()
	for _, method := range []string{messages.MethodCreateStemcell, messages.MethodAttachDisk} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			gate := make(chan any)
			l.gate[method] = gate
			l.orchestrator()
			run := l.send(messages.VerbCreate, "s1", 4096)
			request, err := l.conn.Last(t.Context(), messages.StreamCommand, messages.CommandSubject("micro"))
			if err != nil {
				t.Fatal(err)
			}
			claims, owners, closed := 0, map[string]bool{}, map[string]int{}
			done := l.story(run, func(fact string, e messages.Envelope) {
				switch fact {
				case messages.FactRunClaimed:
					var c messages.RunClaimed
					if err := e.Into(&c); err != nil {
						t.Fatal(err)
					}
					owners[c.Owner] = true
					if claims++; claims == 2 {
						close(gate)
					}
				case messages.FactStepIntended:
					if intended(t, e).Step != method || claims > 1 {
						return
					}
					// As the server gives it out again when an acknowledgement was late.
					ack := fmt.Sprintf("$JS.ACK.%s.%s.1.%d.1.%d.0", messages.StreamCommand, messages.CommandConsumer().Durable, request.Seq, time.Now().UnixNano())
					if err := l.conn.Publish(ack, []byte("-NAK")); err != nil {
						t.Fatal(err)
					}
				case messages.FactStepDone, messages.FactStepFailed:
					closed[e.Step]++
				}
			})
			if done.Outcome != messages.OutcomeSucceeded || len(owners) != 2 {
				t.Fatalf("ended %s with the owners %v", done.Outcome, owners)
			}
			for step, n := range closed {
				if n != 1 {
					t.Errorf("%s ended %d times", step, n)
				}
			}
			l.mu.Lock()
			for _, asked := range []string{"mount_disk", "apply", "start"} {
				if l.asked[asked] != 1 {
					t.Errorf("the agent was asked %d times to %s", l.asked[asked], asked)
				}
			}
			l.mu.Unlock()
			l.once()
		})
	}
}

// refuse has the next step command of a method fail for good.
func (l *lab) refuse(method string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail[method] = "refused"
}

func intended(t *testing.T, e messages.Envelope) messages.StepIntended {
	t.Helper()
	var i messages.StepIntended
	if err := e.Into(&i); err != nil {
		t.Fatal(err)
	}
	return i
}
