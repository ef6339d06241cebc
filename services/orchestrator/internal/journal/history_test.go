package journal_test

import (
	"slices"
	"testing"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
)

// The history reaches beyond the last snapshot, over all deployments of a name.
func TestHistory(t *testing.T) {
	t.Parallel()
	conn := bustest.Start(t).Connect(t, "orchestrator")
	j := journal.New(conn, "test")
	entry := func(uid, fact string, data any) journal.Entry {
		return journal.Entry{Fact: fact, UID: uid, Run: "r", Data: data}
	}
	log := load(t, j, "micro")
	add(t, log,
		entry("old", messages.FactRunClaimed, messages.RunClaimed{Owner: "me", Verb: messages.VerbCreate}),
		entry("old", messages.FactStepIntended, messages.StepIntended{Step: "create_disk", StepID: "old-create_disk-1", N: 1}),
		entry("old", messages.FactStepDone, messages.StepDone{Step: "create_disk", StepID: "old-create_disk-1", N: 1}),
		entry("old", messages.FactSnapshot, messages.Snapshot{Deployment: "micro"}),
		entry("new", messages.FactRunClaimed, messages.RunClaimed{Owner: "me", Verb: messages.VerbCreate}),
		entry("new", messages.FactStepFailed, messages.StepFailed{Step: "create_vm", StepID: "new-create_vm-1", N: 1}),
		entry("new", messages.FactStepIntended, messages.StepIntended{Step: "create_vm", StepID: "new-create_vm-2", N: 2}),
	)
	if _, err := conn.Append(t.Context(), bus.Append{
		Subject: messages.JournalSubject("micro", "mystery"), Filter: messages.JournalFilter("micro"), Last: log.Seq, ID: "x", Data: []byte("no JSON"),
	}); err != nil {
		t.Fatal(err)
	}
	h, err := j.History(t.Context(), "micro")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(h.UIDs, []string{"new", "old"}) || len(h.Ended) != 2 || !h.Ended["old-create_disk-1"] || !h.Ended["new-create_vm-1"] {
		t.Errorf("history %+v", h)
	}
	if len(h.Stamps) != 7 || h.Stamps[0].Source != "test" || h.Stamps[0].Stored.IsZero() {
		t.Errorf("stamps %+v", h.Stamps)
	}
	if h, err := j.History(t.Context(), "nobody"); err != nil || len(h.UIDs) > 0 {
		t.Errorf("history of nobody: %+v %v", h, err)
	}
}
