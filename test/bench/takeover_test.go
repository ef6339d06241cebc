package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

// TestTakeover measures how long a run lies still when its orchestrator is
// killed or frozen in the middle of a step and another one is there.
func TestTakeover(t *testing.T) {
	need(t)
	w := table()
	fmt.Fprintf(w, "\nthe orchestrator is\tanother claims after\tworst\n")
	for _, c := range []struct {
		label string
		do    func(*lab.Process)
		undo  func(*lab.Process)
	}{
		{"killed", func(p *lab.Process) { p.Kill() }, (*lab.Process).Restart},
		{"frozen", (*lab.Process).Freeze, (*lab.Process).Thaw},
	} {
		d := newDeployer(t, lab.Options{Orchestrators: 2, Settle: time.Minute})
		var took []time.Duration
		for i := range *rounds {
			d.Faults(lab.Fault{Mode: "delay", Method: "POST", Path: "/servers$", DelayMS: 8_000, Count: 1})
			took = append(took, d.takeover(t, fmt.Sprintf("t%d", i), c.do, c.undo))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", c.label, ms(median(took)), ms(slices.Max(took)))
		d.Stop()
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// takeover begins a create, does something to its owner while the server is
// being made, and gives the time until another claims it.
func (d *deployer) takeover(t *testing.T, name string, do, undo func(*lab.Process)) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	feed, err := d.conn.Follow(ctx, messages.StreamJournal, []string{messages.JournalFilter(name)}, bus.Start{})
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Stop()
	ended := make(chan error, 1)
	go func() {
		uid := strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
		_, _, err := d.run(ctx, order{name, uid, messages.VerbCreate, 1024, ""})
		ended <- err
	}()
	var owner string
	var hurt *lab.Process
	var began time.Time
	var took time.Duration
	for took == 0 {
		m, err := feed.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		e, err := messages.Decode(m.Data, nil)
		if err != nil {
			t.Fatal(err)
		}
		switch e.TypeName(messages.ClassFact) {
		case messages.FactRunClaimed:
			if hurt != nil {
				took = time.Since(began)
			}
			owner = e.Source
		case messages.FactStepIntended:
			if _, step, _, err := messages.ParseStepID(e.Step); err != nil || step != messages.MethodCreateVM || hurt != nil {
				continue
			}
			i := slices.IndexFunc(d.Orchestrators, func(p *lab.Process) bool { return strings.HasSuffix(owner, p.PID()) })
			if i < 0 {
				t.Fatalf("nobody is %s", owner)
			}
			hurt, began = d.Orchestrators[i], time.Now()
			do(hurt)
		}
	}
	undo(hurt)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return took
}
