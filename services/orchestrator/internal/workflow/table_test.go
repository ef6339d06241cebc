package workflow_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// walk carries out a run whose every step succeeds; check is what check_vm
// finds. It returns the steps as "step" or "step:role" and the last message.
func walk(t *testing.T, s workflow.State, r workflow.Request, check messages.CheckVMOutputs) (workflow.State, []string, messages.RunDone) {
	t.Helper()
	r.Run = r.Run + string(r.Verb)
	at := time.Unix(1, 0)
	fold := func(body any) { s = workflow.Fold(s, workflow.Fact{Run: r.Run, UID: uid, Time: at, Body: body}) }
	fold(messages.RunClaimed{Owner: "me", Verb: r.Verb, Claim: 1})
	var steps []string
	for range 100 {
		action := workflow.Decide(s, r)
		if action.Finish != nil {
			fold(*action.Finish)
			return s, steps, *action.Finish
		}
		i := *action.Intend
		i.StepID = messages.StepID(uid, i.Step, i.N)
		name := i.Step
		if role := i.Inputs.Role; role == workflow.RoleNew || role == workflow.RoleOld {
			name += ":" + role
		}
		steps = append(steps, name)
		fold(i)
		fold(messages.StepDone{Step: i.Step, StepID: i.StepID, N: i.N, Outputs: outputs(t, i, check)})
	}
	t.Fatal("the run does not end")
	return s, nil, messages.RunDone{}
}

func outputs(t *testing.T, i messages.StepIntended, check messages.CheckVMOutputs) json.RawMessage {
	t.Helper()
	var out any
	switch i.Step {
	case workflow.StepCreateStemcell:
		out = messages.CreateStemcellOutputs{CID: "image-" + i.Inputs.StemcellSHA1, Uploaded: true}
	case workflow.StepCreateVM:
		out = messages.CreateVMOutputs{CID: "vm-" + i.StepID}
	case workflow.StepDiscoverIP:
		out = messages.DiscoverIPOutputs{IP: "192.0.2.1"}
	case workflow.StepCreateDisk:
		out = messages.CreateDiskOutputs{CID: "disk-" + i.StepID, SizeMiB: i.Inputs.SizeMiB}
	case workflow.StepAttachDisk:
		out = messages.AttachDiskOutputs{Hint: "/dev/sdb"}
	case workflow.StepCheckVM:
		out = check
	case workflow.StepAdoptStemcell, workflow.StepAdoptDisk:
		out = messages.AdoptOutputs{Exists: true, Owned: true, SizeMiB: 1024, AttachedTo: "vm-1"}
	case workflow.StepAdoptVM:
		out = messages.AdoptOutputs{Exists: i.Inputs.VMCID != "gone", Owned: true, Name: "vm-name", IP: "192.0.2.1"}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

const deployed = "create_stemcell create_vm set_vm_metadata discover_ip wait_agent create_disk attach_disk mount_disk " +
	"stop render apply start wait_director save_fingerprints"

func TestTables(t *testing.T) {
	t.Parallel()
	first := workflow.Request{Verb: messages.VerbCreate, ConfigSHA1: "c1", StemcellSHA1: "s1", DiskMiB: 4096}
	well, silent, gone := messages.CheckVMOutputs{Exists: true, Answers: true}, messages.CheckVMOutputs{Exists: true}, messages.CheckVMOutputs{}
	change := func(edit func(*workflow.Request)) workflow.Request {
		r := first
		r.Verb, r.Run = messages.VerbUpdate, "second-"
		edit(&r)
		return r
	}
	const anew = "create_vm set_vm_metadata discover_ip wait_agent attach_disk mount_disk "
	const run = "stop render apply start wait_director "
	const away = "check_vm stop unmount_disk detach_disk delete_vm "
	for _, c := range []struct {
		name    string
		request workflow.Request
		check   messages.CheckVMOutputs
		want    string
		outcome messages.Outcome
	}{
		{"unchanged", change(func(*workflow.Request) {}), well, "check_vm", messages.OutcomeSkipped},
		{"unchanged but silent", change(func(*workflow.Request) {}), silent, "check_vm detach_disk delete_vm " + anew + run + "save_fingerprints", messages.OutcomeSucceeded},
		{"unchanged but gone", change(func(*workflow.Request) {}), gone, "check_vm delete_vm " + anew + run + "save_fingerprints", messages.OutcomeSucceeded},
		{"recreate", change(func(r *workflow.Request) { r.Recreate = true }), well, away + anew + run + "save_fingerprints", messages.OutcomeSucceeded},
		{"configuration", change(func(r *workflow.Request) { r.ConfigSHA1 = "c2" }), well, away + anew + run + "save_fingerprints", messages.OutcomeSucceeded},
		{"stemcell", change(func(r *workflow.Request) { r.StemcellSHA1 = "s2" }), well,
			"check_vm create_stemcell stop unmount_disk detach_disk delete_vm " + anew + run + "delete_stemcell:old save_fingerprints", messages.OutcomeSucceeded},
		{"bigger disk", change(func(r *workflow.Request) { r.ConfigSHA1, r.DiskMiB = "c2", 8192 }), well,
			away + anew + "create_disk:new attach_disk:new mount_disk:new migrate_disk:new detach_disk:old delete_disk:old " + run + "save_fingerprints", messages.OutcomeSucceeded},
		{"same disk in GiB", change(func(r *workflow.Request) { r.ConfigSHA1, r.DiskMiB = "c2", 4095 }), well, away + anew + run + "save_fingerprints", messages.OutcomeSucceeded},
		{"an image by its id", change(func(r *workflow.Request) { r.StemcellSHA1, r.FetchSpec = "image-9", true }), well,
			"check_vm create_stemcell stop unmount_disk detach_disk delete_vm " + anew + "fetch_apply_spec " + run + "delete_stemcell:old save_fingerprints", messages.OutcomeSucceeded},
		{"stop", change(func(r *workflow.Request) { r.Verb = messages.VerbStop }), well, "check_vm stop", messages.OutcomeSucceeded},
		{"stop what is gone", change(func(r *workflow.Request) { r.Verb = messages.VerbStop }), gone, "check_vm", messages.OutcomeFailed},
		{"start", change(func(r *workflow.Request) { r.Verb = messages.VerbStart }), well, "check_vm start wait_director", messages.OutcomeSucceeded},
		{"start what is silent", change(func(r *workflow.Request) { r.Verb = messages.VerbStart }), silent, "check_vm", messages.OutcomeFailed},
		{"apply", change(func(r *workflow.Request) { r.Verb = messages.VerbApply }), well, "check_vm stop render apply start wait_director", messages.OutcomeSucceeded},
		{"apply to what is silent", change(func(r *workflow.Request) { r.Verb = messages.VerbApply }), silent, "check_vm", messages.OutcomeFailed},
		{"create again", change(func(r *workflow.Request) { r.Verb = messages.VerbCreate }), well, "", messages.OutcomeFailed},
		{"delete", change(func(r *workflow.Request) { r.Verb = messages.VerbDelete }), well,
			"check_vm stop unmount_disk detach_disk delete_disk delete_vm delete_stemcell", messages.OutcomeSucceeded},
		{"delete what is gone", change(func(r *workflow.Request) { r.Verb = messages.VerbDelete }), gone,
			"check_vm delete_vm delete_disk delete_stemcell", messages.OutcomeSucceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, steps, done := walk(t, workflow.State{}, first, well)
			if got := strings.Join(steps, " "); got != deployed || done.Outcome != messages.OutcomeSucceeded {
				t.Fatalf("create: %s, %s", got, done.Outcome)
			}
			s, steps, done = walk(t, s, c.request, c.check)
			if diff := cmp.Diff(strings.Fields(c.want), steps); diff != "" && len(steps)+len(c.want) > 0 {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if done.Outcome != c.outcome {
				t.Errorf("outcome %s, want %s", done.Outcome, c.outcome)
			}
			if c.request.Verb == messages.VerbDelete && (s.Exists() || s.UID != "") {
				t.Errorf("something is left: %+v", s.Snapshot)
			}
		})
	}
}

// Stopped jobs are a reason to deploy, even when nothing else has changed; the
// VM stays then, and start brings back what was there.
func TestStoppedJobs(t *testing.T) {
	t.Parallel()
	r := workflow.Request{Verb: messages.VerbCreate, ConfigSHA1: "c", StemcellSHA1: "s", DiskMiB: 1024}
	well := messages.CheckVMOutputs{Exists: true, Answers: true}
	verb := func(v messages.Verb, run string) workflow.Request {
		r := r
		r.Verb, r.Run = v, run
		return r
	}
	deployed, _, _ := walk(t, workflow.State{}, r, well)
	stopped, _, _ := walk(t, deployed, verb(messages.VerbStop, "2"), well)
	if stopped.VM.Running || stopped.ConfigSHA1 != "c" || stopped.VM.CID != deployed.VM.CID {
		t.Fatalf("stopped: %+v", stopped.Snapshot)
	}
	if got := workflow.Reason(stopped, verb(messages.VerbUpdate, "3")); got != workflow.ReasonStopped {
		t.Errorf("reason %q", got)
	}
	updated, steps, done := walk(t, stopped, verb(messages.VerbUpdate, "3"), well)
	if got := strings.Join(steps, " "); got != "check_vm wait_agent stop render apply start wait_director save_fingerprints" || !updated.VM.Running {
		t.Errorf("an update of what is stopped: %s (%s)", got, done.Outcome)
	}
	started, _, _ := walk(t, stopped, verb(messages.VerbStart, "3"), well)
	if _, _, done := walk(t, started, verb(messages.VerbUpdate, "4"), well); done.Outcome != messages.OutcomeSkipped {
		t.Errorf("an update of what was started again: %s", done.Outcome)
	}
	unfinished := deployed.Clone()
	unfinished.ConfigSHA1 = ""
	if _, steps, done := walk(t, unfinished, verb(messages.VerbStart, "5"), well); done.Outcome != messages.OutcomeFailed || len(steps) > 0 {
		t.Errorf("a start of what was never whole: %s with %v", done.Outcome, steps)
	}
}

func TestFoldIgnoresWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	s, _, _ := walk(t, workflow.State{}, workflow.Request{Verb: messages.VerbCreate, ConfigSHA1: "c", StemcellSHA1: "s", DiskMiB: 1024}, messages.CheckVMOutputs{})
	for name, body := range map[string]any{
		"unknown fact":       workflow.ReadBody("run_painted", json.RawMessage(`{}`)),
		"unreadable":         workflow.ReadBody(messages.FactStepDone, json.RawMessage(`[1]`)),
		"unknown step":       messages.StepDone{Step: "create_vm", StepID: messages.StepID(uid, "create_vm", 9), N: 9, Outputs: json.RawMessage(`{"cid":"x"}`)},
		"failure of no step": messages.StepFailed{Step: "create_vm", StepID: "x"},
		"cancel of no run":   messages.CancelRequested{},
	} {
		if got := workflow.Fold(s, workflow.Fact{Run: "other", Body: body}); !reflect.DeepEqual(s, got) {
			t.Errorf("%s changed the state to %+v", name, got)
		}
	}
}
