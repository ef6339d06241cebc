package workflow_test

import (
	"reflect"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

func TestForesee(t *testing.T) {
	t.Parallel()
	first := workflow.Request{Run: "r1", Verb: messages.VerbCreate, ConfigSHA1: "c1", StemcellSHA1: "s1", DiskMiB: 1024}
	well := messages.CheckVMOutputs{Exists: true, Answers: true}
	made := workflow.Foresee(workflow.State{}, first, well)
	if made.Done.Outcome != messages.OutcomeSucceeded || made.After.VM == nil || made.After.Disk == nil {
		t.Fatalf("a first deploy: %+v", made)
	}
	// The world as that deploy would leave it is where the next plan begins.
	deployed := workflow.Fold(made.After, workflow.Fact{Run: "r1", Body: made.Done})
	before := deployed.Clone()
	for _, c := range []struct {
		name    string
		edit    func(*workflow.Request)
		check   messages.CheckVMOutputs
		outcome messages.Outcome
		has     string // a step that must be there
		hasNot  string
	}{
		{"nothing changed", func(*workflow.Request) {}, well, messages.OutcomeSkipped, workflow.StepCheckVM, workflow.StepDeleteVM},
		{"the manifest changed", func(r *workflow.Request) { r.ConfigSHA1 = "c2" }, well, messages.OutcomeSucceeded, workflow.StepDeleteVM, workflow.StepCreateDisk},
		{"a bigger disk", func(r *workflow.Request) { r.ConfigSHA1, r.DiskMiB = "c2", 4096 }, well, messages.OutcomeSucceeded, workflow.StepMigrateDisk, ""},
		{"the VM is gone", func(*workflow.Request) {}, messages.CheckVMOutputs{}, messages.OutcomeSucceeded, workflow.StepCreateVM, workflow.StepUnmountDisk},
		{"a create", func(r *workflow.Request) { r.Verb = messages.VerbCreate }, well, messages.OutcomeFailed, "", workflow.StepDeleteVM},
		{"a delete", func(r *workflow.Request) { r.Verb = messages.VerbDelete }, well, messages.OutcomeSucceeded, workflow.StepDeleteDisk, workflow.StepCreateVM},
	} {
		r := first
		r.Run, r.Verb = "r2", messages.VerbUpdate
		c.edit(&r)
		got := workflow.Foresee(deployed, r, c.check)
		steps := map[string]bool{}
		for _, s := range got.Steps {
			steps[s.Step] = true
		}
		if got.Done.Outcome != c.outcome || c.has != "" && !steps[c.has] || steps[c.hasNot] {
			t.Errorf("%s: %s with steps %v", c.name, got.Done.Outcome, steps)
		}
		if !reflect.DeepEqual(before, deployed) {
			t.Fatalf("%s: the plan changed the state", c.name)
		}
	}
}
