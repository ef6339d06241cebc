package service_test

import (
	"testing"

	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
)

// A deploy goes on while each node of a cluster of three is away in turn.
func TestLifeWhileNodesDie(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a cluster of three takes several seconds to elect")
	}
	trio := bustest.Cluster(t)
	l := newLabOn(t, trio)
	l.orchestrator()
	l.orchestrator()
	for node, c := range []struct {
		verb    messages.Verb
		sha     string
		disk    int
		outcome messages.Outcome
		things  int
	}{
		{messages.VerbCreate, "s1", 1024, messages.OutcomeSucceeded, 3},
		{messages.VerbUpdate, "s2", 2048, messages.OutcomeSucceeded, 3},
		{messages.VerbDelete, "s2", 2048, messages.OutcomeSucceeded, 0},
	} {
		run := l.send(c.verb, c.sha, c.disk)
		stopped := false
		done := l.story(run, func(fact string, _ messages.Envelope) {
			if fact == messages.FactStepIntended && !stopped {
				stopped = true
				trio.Stop(node)
			}
		})
		if done.Outcome != c.outcome {
			t.Fatalf("%s ended %s: %+v", c.verb, done.Outcome, done.Error)
		}
		if got := l.things(); got != c.things {
			t.Errorf("after %s there are %d things, want %d", c.verb, got, c.things)
		}
		trio.Restart(node)
	}
	l.once()
}
