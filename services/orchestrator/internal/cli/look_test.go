package cli

import (
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

func TestSameDeploy(t *testing.T) {
	t.Parallel()
	open := func(verb messages.Verb) sight {
		return sight{taken: true, ticket: ticket{uid: testUID}, command: messages.Command{Verb: verb, ConfigSHA1: "c1"}}
	}
	ended := open(messages.VerbCreate)
	ended.finished = true
	for name, c := range map[string]struct {
		x      sight
		flags  deployFlags
		verb   messages.Verb // what the words would mean by now
		config string
		uid    string
		want   bool
	}{
		"the same":                          {open(messages.VerbCreate), deployFlags{}, messages.VerbCreate, "c1", testUID, true},
		"a create, asked for as either":     {open(messages.VerbCreate), deployFlags{updateIfExists: true}, messages.VerbUpdate, "c1", testUID, true},
		"an update, asked for as either":    {open(messages.VerbUpdate), deployFlags{updateIfExists: true}, messages.VerbUpdate, "c1", testUID, true},
		"a create, and an update asked for": {open(messages.VerbCreate), deployFlags{update: true}, messages.VerbUpdate, "c1", testUID, false},
		"an update, and a create asked for": {open(messages.VerbUpdate), deployFlags{}, messages.VerbCreate, "c1", testUID, false},
		"a delete":                          {open(messages.VerbDelete), deployFlags{updateIfExists: true}, messages.VerbUpdate, "c1", testUID, false},
		"another manifest":                  {open(messages.VerbCreate), deployFlags{}, messages.VerbCreate, "c2", testUID, false},
		"another deployment":                {open(messages.VerbCreate), deployFlags{}, messages.VerbCreate, "c1", "zzzzzzzz9999", false},
		"one that has ended":                {ended, deployFlags{}, messages.VerbCreate, "c1", testUID, false},
		"none":                              {sight{}, deployFlags{}, messages.VerbCreate, "c1", testUID, false},
	} {
		if got := c.x.sameDeploy(messages.Command{Verb: c.verb, ConfigSHA1: c.config}, c.uid, c.flags); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestLookSeesTheSlotAndTheJournal(t *testing.T) {
	t.Parallel()
	x := newBench(t)
	see := func() sight {
		t.Helper()
		s, err := look(t.Context(), x.s, "micro")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := see(); s.taken || s.open() {
		t.Errorf("before: %+v", s)
	}
	run := x.submit(asks(messages.VerbCreate, "c1")).run
	if s := see(); !s.open() || s.ticket.run != run || s.command.ConfigSHA1 != "c1" {
		t.Errorf("asked for: %+v", s)
	}
	x.fact(run, messages.FactRunClaimed, messages.RunClaimed{Verb: messages.VerbCreate, Claim: 1})
	if s := see(); !s.open() || s.state.Run == nil || s.state.Run.ID != run {
		t.Errorf("claimed: %+v", s)
	}
	x.fact(run, messages.FactRunDone, messages.RunDone{Outcome: messages.OutcomeSucceeded, Verb: messages.VerbCreate})
	if s := see(); !s.taken || s.open() {
		t.Errorf("ended, but in its slot: %+v", s)
	}
	x.leave(run, messages.VerbCreate)
	if s := see(); s.taken || s.state.Run != nil {
		t.Errorf("ended: %+v", s)
	}
}
