package workflow_test

import (
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// TestSweep deletes what is no part of the deployment, leaves the deployment as
// it is, and refuses to touch it.
func TestSweep(t *testing.T) {
	t.Parallel()
	r := workflow.Request{Verb: messages.VerbCreate, ConfigSHA1: "c", StemcellSHA1: "s", DiskMiB: 1024}
	well := messages.CheckVMOutputs{Exists: true, Answers: true}
	deployed, _, _ := walk(t, workflow.State{}, r, well)
	orphans := []messages.Resource{
		{Kind: messages.KindStemcell, CID: "i", Step: "u-create_stemcell-9"},
		{Kind: messages.KindDisk, CID: "d1", Step: "u-create_disk-8"},
		{Kind: messages.KindDisk, CID: "d2", Step: "u-create_disk-9"},
		{Kind: messages.KindPort, CID: "p", Step: "u-create_vm-8"},
		{Kind: messages.KindVM, CID: "v", Name: "vm-1", Step: "u-create_vm-9"},
	}
	sweep := workflow.Request{Run: "2", Verb: messages.VerbSweep, Orphans: orphans}
	swept, steps, done := walk(t, deployed, sweep, well)
	if got := strings.Join(steps, " "); done.Outcome != messages.OutcomeSucceeded || got != "delete_vm delete_port delete_disk delete_disk delete_stemcell" {
		t.Errorf("the sweep did %q: %s", got, done.Outcome)
	}
	if swept.VM == nil || swept.Disk == nil || swept.Stemcell == nil || swept.ConfigSHA1 != "c" {
		t.Errorf("the sweep changed the deployment: %+v", swept.Snapshot)
	}
	if _, _, done := walk(t, swept, workflow.Request{Run: "3", Verb: messages.VerbUpdate, ConfigSHA1: "c", StemcellSHA1: "s", DiskMiB: 1024}, well); done.Outcome != messages.OutcomeSkipped {
		t.Errorf("an update after the sweep: %s", done.Outcome)
	}
	for name, o := range map[string]messages.Resource{
		"the VM":            {Kind: messages.KindVM, CID: deployed.VM.CID},
		"its twin":          {Kind: messages.KindVM, CID: "another", Step: deployed.VM.Step},
		"a port of the VM":  {Kind: messages.KindPort, CID: "p", Step: deployed.VM.Step},
		"the disk":          {Kind: messages.KindDisk, CID: deployed.Disk.CID},
		"the stemcell":      {Kind: messages.KindStemcell, CID: deployed.Stemcell.CID},
		"the disk, renamed": {Kind: messages.KindVM, CID: deployed.Disk.CID},
	} {
		r := sweep
		r.Run, r.Orphans = "4", append(orphans[:1:1], o)
		if _, steps, done := walk(t, deployed, r, well); done.Outcome != messages.OutcomeFailed || len(steps) > 0 || deployed.Sweeps(o) {
			t.Errorf("%s is swept: %v, %s", name, steps, done.Outcome)
		}
	}

	// What a deleted deployment left goes under a uid that ends with the sweep.
	gone, _, _ := walk(t, workflow.State{}, sweep, well)
	if gone.UID != "" || len(gone.Uses) > 0 || len(gone.FinishedRuns) != 1 {
		t.Errorf("after a sweep of nothing else: %+v", gone.Snapshot)
	}
}
