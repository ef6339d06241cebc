package journal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

func claim(run string) journal.Entry {
	return journal.Entry{Fact: messages.FactRunClaimed, UID: "uid", Run: run, Data: messages.RunClaimed{Owner: run, Verb: messages.VerbCreate, Claim: 1, Cloud: "openstack"}}
}

func load(t testing.TB, j *journal.Journal, name string) *journal.Log {
	t.Helper()
	log, err := j.Load(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func add(t testing.TB, log *journal.Log, entries ...journal.Entry) {
	t.Helper()
	for _, entry := range entries {
		if err := log.Append(t.Context(), entry); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOfTwoWritersOneIsBehind(t *testing.T) {
	t.Parallel()
	j := journal.New(bustest.Start(t).Connect(t, "orchestrator"), "test")
	first, second := load(t, j, "micro"), load(t, j, "micro")
	add(t, first, claim("run-1"))
	if err := second.Append(t.Context(), claim("run-2")); !errors.Is(err, journal.ErrBehind) {
		t.Fatalf("the second writer got %v, want ErrBehind", err)
	}
	if current, err := second.Current(t.Context()); err != nil || current {
		t.Errorf("Current() = %v, %v of one that is behind", current, err)
	}
	if err := second.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if second.State.Run == nil || second.State.Run.ID != "run-1" {
		t.Errorf("after a reload the run is %+v, want run-1", second.State.Run)
	}
}

// A deployment's facts do not stand in another's way, nor does what is no fact.
func TestDeploymentsAndGarbageAreApart(t *testing.T) {
	t.Parallel()
	conn := bustest.Start(t).Connect(t, "orchestrator")
	j := journal.New(conn, "test")
	add(t, load(t, j, "one"), claim("run-1"))
	for _, garbage := range []string{"no JSON", `{"data":[]}`, ""} {
		if _, err := conn.Send(t.Context(), messages.JournalSubject("two", messages.FactStepDone), "", []byte(garbage)); err != nil {
			t.Fatal(err)
		}
	}
	two := load(t, j, "two")
	if two.State.Run != nil {
		t.Errorf("two has one's run: %+v", two.State.Run)
	}
	add(t, two, claim("run-2"))
	if again := load(t, j, "two"); again.State.Run == nil || again.State.Run.ID != "run-2" {
		t.Errorf("two's run is %+v, want run-2", again.State.Run)
	}
	names, err := j.Deployments(t.Context())
	if err != nil || len(names) != 2 {
		t.Errorf("Deployments() = %v, %v", names, err)
	}
}

// A snapshot stands for everything before it.
func TestASnapshotIsWhereReadingBegins(t *testing.T) {
	t.Parallel()
	j := journal.New(bustest.Start(t).Connect(t, "orchestrator"), "test")
	log := load(t, j, "micro")
	add(t, log, claim("run-1"), step("run-1", 1, true), done("run-1"))
	add(t, log, journal.Entry{Fact: messages.FactSnapshot, UID: "uid", Run: "run-1", Data: log.State.Snapshot})
	want, err := json.Marshal(log.State.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	again := load(t, j, "micro")
	got, err := json.Marshal(again.State.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) || again.Seq != log.Seq {
		t.Errorf("after a snapshot:\n%s at %d, want\n%s at %d", got, again.Seq, want, log.Seq)
	}
}

func step(run string, n int, ended bool) journal.Entry {
	id := messages.StepID("uid", workflow.StepCreateDisk, n)
	if ended {
		return journal.Entry{Fact: messages.FactStepFailed, UID: "uid", Run: run, Step: id, Data: messages.StepFailed{
			Step: workflow.StepCreateDisk, StepID: id, N: n, Error: messages.Errorf(messages.CodeCloudInvalid, "no"),
		}}
	}
	return journal.Entry{Fact: messages.FactStepIntended, UID: "uid", Run: run, Step: id, Data: messages.StepIntended{
		Step: workflow.StepCreateDisk, StepID: id, N: n, Deadline: time.Now().Add(time.Hour),
	}}
}

func done(run string) journal.Entry {
	return journal.Entry{Fact: messages.FactRunDone, UID: "uid", Run: run, Data: messages.RunDone{Verb: messages.VerbCreate, Outcome: messages.OutcomeFailed}}
}

// BenchmarkTenThousandFacts is what it costs to know a deployment of 10,000
// facts, whose last run is open, and to decide its next step: as one endless
// run, and as runs of 100 facts with a snapshot behind each.
func BenchmarkTenThousandFacts(b *testing.B) {
	const facts = 10_000
	for _, length := range []int{facts, 100} {
		b.Run(fmt.Sprintf("runs of %d", length), func(b *testing.B) {
			j := journal.New(bustest.Start(b).Connect(b, "orchestrator"), "test")
			log := load(b, j, "micro")
			run := ""
			for n := range facts / length {
				if run != "" {
					add(b, log, done(run))
					add(b, log, journal.Entry{Fact: messages.FactSnapshot, UID: "uid", Run: run, Data: log.State.Snapshot})
				}
				run = fmt.Sprint("run-", n)
				add(b, log, claim(run))
				for i := range (length - 3) / 2 {
					at := n*length + i
					add(b, log, step(run, at, false), step(run, at, true))
				}
			}
			b.ResetTimer()
			for b.Loop() {
				log := load(b, j, "micro")
				if a := workflow.Decide(log.State, workflow.Request{Run: run, Verb: messages.VerbDelete}); a == (workflow.Action{}) {
					b.Fatal("nothing was decided")
				}
			}
		})
	}
}
