package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

const testUID = "abcdefgh1234"

// bench is a bus with a journal that the test writes, as an orchestrator would.
type bench struct {
	t    *testing.T
	app  *app
	out  bytes.Buffer
	s    *session
	log  *journal.Log
	conn *bus.Conn
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := bustest.Start(t)
	x := &bench{t: t, conn: b.Connect(t, "orchestrator")}
	x.app = &app{ui: &ui.Terminal{Out: &x.out, Err: &x.out}}
	x.s = &session{conn: b.Connect(t, "cli")}
	log, err := journal.New(x.conn, "test").Load(t.Context(), "micro")
	if err != nil {
		t.Fatal(err)
	}
	x.log = log
	return x
}

func (x *bench) fact(run, name string, body any) {
	x.t.Helper()
	if err := x.log.Append(x.t.Context(), journal.Entry{Fact: name, UID: testUID, Run: run, Data: body}); err != nil {
		x.t.Fatal(err)
	}
}

// finish ends a run as an orchestrator does: the request leaves its slot, then
// the event.
func (x *bench) finish(run string, verb messages.Verb) {
	x.t.Helper()
	x.fact(run, messages.FactRunDone, messages.RunDone{Outcome: messages.OutcomeSucceeded, Verb: verb})
	x.fact(run, messages.FactSnapshot, x.log.State.Snapshot)
	x.leave(run, verb)
}

func (x *bench) leave(run string, verb messages.Verb) {
	x.t.Helper()
	ctx, cancel := context.WithCancel(x.t.Context())
	err := x.conn.Work(ctx, messages.CommandConsumer(), 1, func(ctx context.Context, j *bus.Job) error {
		defer cancel()
		return j.Done(ctx)
	})
	if err != nil && ctx.Err() == nil {
		x.t.Fatal(err)
	}
	body, err := messages.Envelope{ID: "e-" + run, Type: messages.Type(messages.ClassEvent, messages.EventRunClosed), Deployment: "micro", Run: run}.
		Encode(messages.RunClosed{Run: run, Verb: verb, Outcome: messages.OutcomeSucceeded})
	if err != nil {
		x.t.Fatal(err)
	}
	if _, err := x.conn.Send(x.t.Context(), runClosed("micro"), "", body); err != nil {
		x.t.Fatal(err)
	}
}

func asks(verb messages.Verb, config string) request {
	return request{deployment: "micro", uid: testUID, command: messages.Command{Verb: verb, ConfigSHA1: config, RequestedBy: "ann@desk"}}
}

func (x *bench) submit(r request) ticket {
	x.t.Helper()
	t, err := x.app.submit(x.t.Context(), x.s, r)
	if err != nil {
		x.t.Fatal(err)
	}
	return t
}

func TestSubmit(t *testing.T) {
	t.Parallel()
	x := newBench(t)
	first := x.submit(asks(messages.VerbCreate, "c1"))
	if first.attached {
		t.Error("the first request was attached to something")
	}
	if again := x.submit(asks(messages.VerbCreate, "c1")); again.run != first.run || !again.attached {
		t.Errorf("the same request: %+v, want run %s", again, first.run)
	}
	_, err := x.app.submit(t.Context(), x.s, asks(messages.VerbCreate, "c2"))
	if messages.CodeOf(err) != messages.CodeRunOpen || !strings.Contains(err.Error(), "ann@desk") {
		t.Errorf("another request: %v", err)
	}
	other := asks(messages.VerbCreate, "c1")
	other.uid = "zzzzzzzz9999"
	if _, err := x.app.submit(t.Context(), x.s, other); messages.CodeOf(err) != messages.CodeRunOpen {
		t.Errorf("the same request of another deployment: %v", err)
	}
	open, err := x.app.openRun(t.Context(), x.s, "micro")
	if err != nil || open.run != first.run || open.verb != messages.VerbCreate {
		t.Errorf("open run %+v, %v", open, err)
	}
}

func TestSubmitWaitsForARunThatHasEnded(t *testing.T) {
	t.Parallel()
	x := newBench(t)
	first := x.submit(asks(messages.VerbCreate, "c1"))
	x.fact(first.run, messages.FactRunClaimed, messages.RunClaimed{Verb: messages.VerbCreate, Claim: 1})
	x.fact(first.run, messages.FactRunDone, messages.RunDone{Outcome: messages.OutcomeSucceeded, Verb: messages.VerbCreate})
	got := make(chan ticket, 1)
	go func() {
		ticket, err := x.app.submit(t.Context(), x.s, asks(messages.VerbUpdate, "c1"))
		if err != nil {
			t.Error(err)
		}
		got <- ticket
	}()
	x.leave(first.run, messages.VerbCreate)
	if second := <-got; second.run == first.run || second.attached {
		t.Errorf("got %+v", second)
	}
}

func TestFollowTellsAndProjects(t *testing.T) {
	t.Parallel()
	x := newBench(t)
	path := filepath.Join(t.TempDir(), "micro_bosh.yml")
	w, err := openWatch(t.Context(), x.s, "micro")
	if err != nil {
		t.Fatal(err)
	}
	defer w.stop()
	run := x.submit(asks(messages.VerbCreate, "c1"))
	x.fact(run.run, messages.FactRunClaimed, messages.RunClaimed{Verb: messages.VerbCreate, Claim: 1})
	id := messages.StepID(testUID, "create_stemcell", 1)
	x.fact(run.run, messages.FactStepIntended, messages.StepIntended{Step: "create_stemcell", StepID: id, N: 1, Inputs: messages.StepInputs{StemcellName: "dev"}})
	x.fact(run.run, messages.FactStepDone, messages.StepDone{Step: "create_stemcell", StepID: id, N: 1, Outputs: []byte(`{"cid":"img-1","uploaded":true}`), Millis: 5})
	x.finish(run.run, messages.VerbCreate)
	done, err := w.follow(t.Context(), run, x.app.ui.Renderer(""), statefile.NewProjection(path))
	if err != nil || done.Outcome != messages.OutcomeSucceeded {
		t.Fatalf("ended %+v, %v", done, err)
	}
	if !strings.Contains(x.out.String(), "Deploy Micro BOSH\n  uploading stemcell (5ms)\n") {
		t.Errorf("told %q", x.out.String())
	}
	d, err := manifest.ReadDeployments(statefile.ProjectionPath(path))
	if err != nil {
		t.Fatal(err)
	}
	if row, ok := d.Find("micro"); !ok || row.StemcellCID != "img-1" || row.StemcellName != "dev" {
		t.Errorf("row %+v", row)
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	x := newBench(t)
	w, err := openWatch(t.Context(), x.s, "micro")
	if err != nil {
		t.Fatal(err)
	}
	defer w.stop()
	run := x.submit(asks(messages.VerbCreate, "c1"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.follow(ctx, run, x.app.ui.Renderer(""), statefile.NewProjection(filepath.Join(t.TempDir(), "m.yml"))); err == nil {
		t.Error("it ended well")
	}
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	x := newBench(t)
	dir := t.TempDir()
	ids := statefile.NewIdentities(dir)
	get := func(state workflow.State, adopt bool) (string, error) {
		now, err := look(t.Context(), x.s, "micro")
		if err != nil {
			t.Fatal(err)
		}
		now.state = state
		return identify(ids, "micro", now, adopt)
	}
	living := workflow.State{Snapshot: messages.Snapshot{Deployment: "micro", UID: testUID}}
	if _, err := get(living, false); messages.CodeOf(err) != messages.CodeUIDMismatch {
		t.Errorf("a deployment from elsewhere: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "deployments", "micro.json")); err == nil {
		t.Error("the refused uid was remembered")
	}
	if uid, err := get(living, true); uid != testUID || err != nil {
		t.Errorf("adopted: %q, %v", uid, err)
	}
	if uid, err := get(living, false); uid != testUID || err != nil {
		t.Errorf("once adopted: %q, %v", uid, err)
	}
	if uid, err := get(workflow.State{}, false); uid != testUID || err != nil {
		t.Errorf("a first request that nobody has seen: %q, %v", uid, err)
	}
	gone := workflow.State{Snapshot: messages.Snapshot{Deployment: "micro", FinishedRuns: []messages.RunEnd{{Verb: messages.VerbDelete}}}}
	fresh, err := get(gone, false)
	if err != nil || fresh == testUID {
		t.Fatalf("after a delete: %q, %v", fresh, err)
	}
	waiting := asks(messages.VerbCreate, "c1")
	waiting.uid = fresh
	x.submit(waiting)
	if uid, err := get(gone, false); uid != fresh || err != nil {
		t.Errorf("with its request waiting: %q, %v; want %q", uid, err, fresh)
	}
}

func TestVerb(t *testing.T) {
	t.Parallel()
	const ok = ""
	vm := &messages.VM{CID: "vm"}
	exists := workflow.State{Snapshot: messages.Snapshot{UID: testUID, VM: vm, ConfigSHA1: "c"}}
	creating := workflow.State{Snapshot: messages.Snapshot{UID: testUID}, Run: &workflow.Run{Verb: messages.VerbCreate}}
	unfinished := workflow.State{Snapshot: messages.Snapshot{UID: testUID, VM: vm}}
	for name, c := range map[string]struct {
		state   workflow.State
		flags   deployFlags
		noDisk  bool
		verb    messages.Verb
		refusal string
	}{
		"new":                          {workflow.State{}, deployFlags{}, false, messages.VerbCreate, ok},
		"new, --update":                {workflow.State{}, deployFlags{update: true}, false, "", "No existing instance to update"},
		"new, --update-if-exists":      {workflow.State{}, deployFlags{updateIfExists: true}, false, messages.VerbCreate, ok},
		"new, --recreate":              {workflow.State{}, deployFlags{recreate: true}, false, "", "No existing instance to update"},
		"new, no disk":                 {workflow.State{}, deployFlags{}, true, "", "No persistent disk configured in micro_bosh.yml"},
		"new, no disk, --update":       {workflow.State{}, deployFlags{update: true}, true, "", "No existing instance to update"},
		"exists":                       {exists, deployFlags{}, false, "", "Instance exists. Did you mean to --update?"},
		"exists, --update":             {exists, deployFlags{update: true}, false, messages.VerbUpdate, ok},
		"exists, --update-if-exists":   {exists, deployFlags{updateIfExists: true}, false, messages.VerbUpdate, ok},
		"exists, --recreate":           {exists, deployFlags{recreate: true}, false, messages.VerbUpdate, ok},
		"exists, no disk, --update":    {exists, deployFlags{update: true}, true, messages.VerbUpdate, ok},
		"creating":                     {creating, deployFlags{}, false, messages.VerbCreate, ok},
		"creating, --update-if-exists": {creating, deployFlags{updateIfExists: true}, false, messages.VerbCreate, ok},
		"unfinished":                   {unfinished, deployFlags{}, false, messages.VerbCreate, ok},
		"unfinished, --update":         {unfinished, deployFlags{update: true}, false, messages.VerbUpdate, ok},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := chosen{choice: statefile.Choice{Deployment: filepath.Join(t.TempDir(), "micro_bosh.yml")}, manifest: &manifest.Manifest{}}
			d.manifest.Resources.HasPersistentDisk = !c.noDisk
			verb, _, err := (&app{}).verb(d, c.state, c.flags)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if verb != c.verb || got != c.refusal {
				t.Errorf("got %q, %q; want %q, %q", verb, got, c.verb, c.refusal)
			}
		})
	}
}
