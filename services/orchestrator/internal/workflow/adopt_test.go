package workflow_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

func importing(i messages.Import) workflow.Request {
	return workflow.Request{Run: "r", Verb: messages.VerbImport, DiskMiB: 1024, Import: &i}
}

func TestAnImportBecomesAnOrdinaryDeployment(t *testing.T) {
	t.Parallel()
	all := messages.Import{VMCID: "vm-1", DiskCID: "disk-1", StemcellCID: "image-1", ConfigSHA1: "c", StemcellSHA1: "s", AgentID: "a"}
	alive := messages.CheckVMOutputs{Exists: true, Answers: true}
	s, steps, done := walk(t, workflow.State{}, importing(all), alive)
	if diff := cmp.Diff([]string{"adopt_stemcell", "adopt_vm", "adopt_disk", "save_fingerprints"}, steps); diff != "" || done.Outcome != messages.OutcomeSucceeded {
		t.Fatalf("an import: %s\n%+v", diff, done)
	}
	same := workflow.Request{Run: "again", Verb: messages.VerbUpdate, ConfigSHA1: "c", StemcellSHA1: "s", DiskMiB: 1024}
	if _, steps, done := walk(t, s, same, alive); done.Outcome != messages.OutcomeSkipped {
		t.Errorf("an unchanged update of it does %v and ends %+v", steps, done)
	}
	changed := same
	changed.ConfigSHA1 = "other"
	after, _, _ := walk(t, s, changed, alive)
	if after.Disk == nil || after.Disk.CID != "disk-1" || after.VM == nil || after.VM.CID == "vm-1" {
		t.Errorf("an update leaves %+v, %+v", after.Disk, after.VM)
	}
	gone, steps, _ := walk(t, s, workflow.Request{Run: "end", Verb: messages.VerbDelete}, alive)
	if gone.Exists() {
		t.Errorf("a delete does %v and leaves %+v", steps, gone.Snapshot)
	}

	if _, steps, done := walk(t, s, importing(all), alive); len(steps) > 0 || done.Error == nil || done.Error.Code != messages.CodeInstanceExists {
		t.Errorf("a second import does %v and ends %+v", steps, done)
	}
}

func TestAnImportLeavesOutWhatIsGone(t *testing.T) {
	t.Parallel()
	s, steps, done := walk(t, workflow.State{}, importing(messages.Import{VMCID: "gone", DiskCID: "disk-1"}), messages.CheckVMOutputs{})
	if s.VM != nil || s.Disk == nil || done.Outcome != messages.OutcomeSucceeded {
		t.Errorf("an import does %v and leaves %+v", steps, s.Snapshot)
	}
}

// Another file than the one that an import began with is another deployment.
func TestAnImportDoesNotMixTwo(t *testing.T) {
	t.Parallel()
	s, _, _ := walk(t, workflow.State{}, importing(messages.Import{VMCID: "vm-1", DiskCID: "disk-1"}), messages.CheckVMOutputs{})
	r := importing(messages.Import{VMCID: "vm-1", DiskCID: "disk-2"})
	r.Run = "other"
	if _, steps, done := walk(t, s, r, messages.CheckVMOutputs{}); len(steps) > 0 || done.Error == nil || done.Error.Code != messages.CodeInstanceExists {
		t.Errorf("a second import does %v and ends %+v", steps, done)
	}
}
