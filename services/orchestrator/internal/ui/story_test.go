package ui_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

const run = "0197"

// teller feeds a story with facts, a second apart, and prints it plainly.
type teller struct {
	story *ui.Story
	show  ui.Renderer
	out   bytes.Buffer
	now   time.Time
}

func newTeller(verb messages.Verb, json bool) *teller {
	t := &teller{story: ui.NewStory(run, verb), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	t.show = (&ui.Terminal{Out: &t.out, Err: &t.out, JSON: json}).Renderer("")
	return t
}

func (t *teller) fact(body any) {
	t.now = t.now.Add(time.Second)
	for _, l := range t.story.Fact(run, t.now, body) {
		t.show.Show(l)
	}
}

func (t *teller) step(name string, millis int64, in messages.StepInputs, why string) {
	id := messages.StepID("abcdefgh", name, 1) + in.Role
	t.fact(messages.StepIntended{Step: name, StepID: id, N: 1, Inputs: in, Why: why})
	t.fact(messages.StepDone{Step: name, StepID: id, N: 1, Millis: millis})
}

func TestPlainStoryOfACreate(t *testing.T) {
	t.Parallel()
	s := newTeller(messages.VerbCreate, false)
	s.fact(messages.RunClaimed{Verb: messages.VerbCreate, Claim: 1})
	s.step("create_stemcell", 212, messages.StepInputs{StemcellName: "dev", StemcellSHA1: "5ba9"}, "")
	s.step("create_vm", 61, messages.StepInputs{StemcellCID: "img-1"}, "")
	s.step("wait_agent", 3400, messages.StepInputs{}, "")
	s.step("create_disk", 10, messages.StepInputs{}, "")
	s.step("mount_disk", 10, messages.StepInputs{}, "")
	s.step("apply", 125_000, messages.StepInputs{}, "")
	s.fact(messages.RunDone{Outcome: messages.OutcomeSucceeded, Millis: 61_000})
	want := `
Deploy Micro BOSH
  uploading stemcell (212ms)
  creating VM from img-1 (61ms)
  waiting for the agent (3.4s)
  create disk (10ms)
  mount disk (10ms)
  updating persistent disk (3.0s)
  applying micro BOSH spec (2m05s)
Done  00:01:01

`
	if diff := cmp.Diff(want, s.out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestPlainStoryOfAnUpdate(t *testing.T) {
	t.Parallel()
	const why = "Will deploy due to configuration changes"
	s := newTeller(messages.VerbUpdate, false)
	s.fact(messages.RunClaimed{Verb: messages.VerbUpdate, Claim: 1})
	s.step("check_vm", 1, messages.StepInputs{}, "")
	s.step("stop", 1, messages.StepInputs{}, why)
	s.step("unmount_disk", 1, messages.StepInputs{}, why)
	s.step("detach_disk", 1, messages.StepInputs{}, why)
	s.step("delete_vm", 1, messages.StepInputs{}, why)
	s.step("create_vm", 1, messages.StepInputs{StemcellCID: "img-1"}, "")
	s.fact(messages.RunClaimed{Verb: messages.VerbUpdate, Claim: 2})
	s.step("stop", 1, messages.StepInputs{Role: "x"}, "")
	want := `
Prepare for update
  checking the VM (1ms)
Will deploy due to configuration changes
  stopping agent services (1ms)
  unmount disk (1ms)
  detach disk (1ms)
  delete VM (1ms)

Deploy Micro BOSH
  creating VM from img-1 (1ms)
  the run goes on with another orchestrator
  stopping agent services (1ms)
`
	if diff := cmp.Diff(want, s.out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestPlainStoryOfADelete(t *testing.T) {
	t.Parallel()
	s := newTeller(messages.VerbDelete, false)
	s.fact(messages.RunClaimed{Verb: messages.VerbDelete, Claim: 1})
	s.step("detach_disk", 1, messages.StepInputs{DiskCID: "vol-1"}, "")
	s.step("delete_vm", 1, messages.StepInputs{}, "")
	s.step("delete_disk", 1, messages.StepInputs{DiskCID: "vol-1"}, "")
	want := "\nDelete micro BOSH\n  detach disk (1ms)\n  delete VM (1ms)\n  deleting persistent disk `vol-1' (1ms)\n"
	if diff := cmp.Diff(want, s.out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestFailureAndProgress(t *testing.T) {
	t.Parallel()
	s := newTeller(messages.VerbCreate, false)
	id := messages.StepID("abcdefgh", "wait_agent", 1)
	s.fact(messages.StepIntended{Step: "wait_agent", StepID: id})
	progress := func(text string) {
		s.now = s.now.Add(3 * time.Second)
		for _, l := range s.story.Progress(run, s.now, messages.Progress{StepID: id, Message: text}) {
			s.show.Show(l)
		}
	}
	progress("no heartbeat yet") // too soon for a log
	progress("no \x1b[31mheartbeat yet")
	progress("no heartbeat yet") // said already
	s.fact(messages.StepFailed{Step: "wait_agent", StepID: id, Error: messages.Errorf(messages.CodeAgentTimeout, "no"), Millis: 9000})
	got := s.out.String()
	if strings.Count(got, "no ") != 1 || !strings.Contains(got, "    waiting for the agent: no [31mheartbeat yet (6.0s)\n") {
		t.Errorf("progress: %q", got)
	}
	if !strings.Contains(got, "  waiting for the agent failed (9.0s)\n") {
		t.Errorf("failure: %q", got)
	}
	if strings.Contains(got, "\x1b") {
		t.Errorf("control characters came through: %q", got)
	}
}

func TestOtherRunsAreNotTold(t *testing.T) {
	t.Parallel()
	s := ui.NewStory(run, messages.VerbCreate)
	if lines := s.Fact("other", time.Now(), messages.StepIntended{Step: "apply", StepID: "x"}); lines != nil {
		t.Errorf("told %v", lines)
	}
	if lines := s.Progress("other", time.Now(), messages.Progress{StepID: "x"}); lines != nil {
		t.Errorf("told %v", lines)
	}
}

func TestJSONStoryHasOneObjectALine(t *testing.T) {
	t.Parallel()
	s := newTeller(messages.VerbCreate, true)
	s.step("create_vm", 61, messages.StepInputs{StemcellCID: "img-1"}, "")
	want := `{"type":"stage","time":"2026-01-02T03:04:06Z","run":"0197","stage":"Deploy Micro BOSH"}
{"type":"started","time":"2026-01-02T03:04:06Z","run":"0197","stage":"Deploy Micro BOSH","task":"Creating VM from img-1","step_id":"abcdefgh-create_vm-1","index":1}
{"type":"finished","time":"2026-01-02T03:04:07Z","run":"0197","stage":"Deploy Micro BOSH","task":"Creating VM from img-1","step_id":"abcdefgh-create_vm-1","index":1,"millis":61}
`
	if diff := cmp.Diff(want, s.out.String()); diff != "" {
		t.Error(diff)
	}
}
