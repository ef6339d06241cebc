package workflow

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// keptRuns is how many finished runs a snapshot remembers: enough for a command
// that is delivered again long after its run ended.
const keptRuns = 64

// Fact is one entry of a journal.
type Fact struct {
	Run  string
	UID  string // the deployment's, as the writer knew it
	Time time.Time
	Body any // messages.RunClaimed and so on, by value; nil for one that cannot be read
}

// ReadBody decodes the body of a fact by its name; nil for an unknown fact or
// an unreadable body.
func ReadBody(name string, data json.RawMessage) any {
	switch name {
	case messages.FactRunClaimed:
		return body[messages.RunClaimed](data)
	case messages.FactStepIntended:
		return body[messages.StepIntended](data)
	case messages.FactStepDone:
		return body[messages.StepDone](data)
	case messages.FactStepFailed:
		return body[messages.StepFailed](data)
	case messages.FactCancelRequested:
		return body[messages.CancelRequested](data)
	case messages.FactRunDone:
		return body[messages.RunDone](data)
	case messages.FactSnapshot:
		return body[messages.Snapshot](data)
	}
	return nil
}

func body[T any](data json.RawMessage) any {
	var v T
	if json.Unmarshal(data, &v) != nil {
		return nil
	}
	return v
}

// State is a deployment as its journal tells it.
type State struct {
	messages.Snapshot
	Run *Run // the run under way
}

// Run is a claimed run that has not ended.
type Run struct {
	ID        string
	Verb      messages.Verb
	Owner     string
	Claim     int
	Started   time.Time
	Cancelled bool
	Done      map[string]bool          // steps finished in this run; disks' as step:role
	Failed    *messages.StepFailed     // the step that ends the run
	Check     *messages.CheckVMOutputs // what became of CheckedVM
	CheckedVM string
}

// Clone copies the state so deep that folding into the copy leaves s alone.
func (s State) Clone() State {
	out := s
	out.VM, out.Stemcell = ptr(s.VM), ptr(s.Stemcell)
	out.Disk, out.NewDisk, out.OldDisk = ptr(s.Disk), ptr(s.NewDisk), ptr(s.OldDisk)
	out.Target = ptr(s.Target)
	out.OldStemcells = slices.Clone(s.OldStemcells)
	out.FinishedRuns = slices.Clone(s.FinishedRuns)
	out.Uses, out.Open = maps.Clone(s.Uses), maps.Clone(s.Open)
	if s.Run != nil {
		out.Run = ptr(s.Run)
		out.Run.Done = maps.Clone(s.Run.Done)
	}
	return out
}

// Finished is the end of a run, when the journal remembers it.
func (s State) Finished(run string) (messages.RunEnd, bool) {
	for _, end := range s.FinishedRuns {
		if end.Run == run {
			return end, true
		}
	}
	return messages.RunEnd{}, false
}

// Exists tells whether the deployment has anything in the cloud.
func (s State) Exists() bool {
	return s.VM != nil || s.Stemcell != nil || s.Disk != nil || s.NewDisk != nil || s.OldDisk != nil || len(s.OldStemcells) > 0
}

// Fold applies facts in order; s itself stays as it is. A fact that it does not
// know, that cannot be read or that does not fit changes nothing.
func Fold(s State, facts ...Fact) State {
	s = s.Clone()
	for _, f := range facts {
		s.apply(f)
	}
	return s
}

func (s *State) apply(f Fact) {
	switch b := f.Body.(type) {
	case messages.RunClaimed:
		s.claim(f, b)
	case messages.StepIntended:
		s.intend(f, b)
	case messages.StepDone:
		s.done(f, b)
	case messages.StepFailed:
		s.failed(f, b)
	case messages.CancelRequested:
		if s.Run != nil && s.Run.ID == f.Run {
			s.Run.Cancelled = true
		}
	case messages.RunDone:
		s.end(f, b)
	case messages.Snapshot:
		*s = State{Snapshot: b}.Clone()
	}
}

func (s *State) claim(f Fact, c messages.RunClaimed) {
	if s.Run == nil || s.Run.ID != f.Run {
		s.Run = &Run{ID: f.Run, Verb: c.Verb, Started: f.Time, Done: map[string]bool{}}
	}
	s.Run.Owner, s.Run.Claim = c.Owner, c.Claim
	if f.UID != "" {
		s.UID = f.UID
	}
	if s.InstanceUUID == "" {
		s.InstanceUUID = c.InstanceUUID
	}
	if c.Cloud != "" {
		s.Cloud = c.Cloud
	}
}

func (s *State) intend(f Fact, i messages.StepIntended) {
	if s.Run == nil || s.Run.ID != f.Run {
		return
	}
	if s.Open == nil {
		s.Open = map[string]messages.Intent{}
	}
	s.Open[i.StepID] = messages.Intent{StepIntended: i, Run: f.Run, Time: f.Time}
	switch {
	case onlyJobs(s.Run.Verb):
		if i.Step == StepStop && s.VM != nil && s.VM.CID == i.Inputs.VMCID {
			s.VM.Running = false // whatever comes of it
		}
	case i.Step != StepCheckVM && s.Run.Verb != messages.VerbSweep:
		// From here on the deployment is no longer what was fingerprinted.
		s.ConfigSHA1, s.StemcellSHA1 = "", ""
	}
}

// onlyJobs tells whether a verb leaves everything as it is but the jobs.
func onlyJobs(v messages.Verb) bool {
	return v == messages.VerbStop || v == messages.VerbStart || v == messages.VerbApply
}

// close takes an intent out of the open ones.
func (s *State) close(stepID string) (messages.Intent, bool) {
	intent, ok := s.Open[stepID]
	if !ok {
		return messages.Intent{}, false
	}
	delete(s.Open, stepID)
	if s.Uses == nil {
		s.Uses = map[string]int{}
	}
	s.Uses[intent.Step] = max(s.Uses[intent.Step], intent.N)
	return intent, true
}

func (s *State) done(f Fact, d messages.StepDone) {
	intent, ok := s.close(d.StepID)
	if !ok {
		return
	}
	if s.Run != nil && s.Run.ID == f.Run {
		if intent.Step == StepCreateVM {
			clear(s.Run.Done) // what was done to the old VM is not done to the new one
		}
		if intent.Run == f.Run { // what an earlier run began was begun for another request
			s.Run.Done[doneKey(intent.Step, intent.Inputs.Role)] = true
		}
	}
	effect(s, intent, d.Outputs)
}

func (s *State) failed(f Fact, d messages.StepFailed) {
	if _, ok := s.close(d.StepID); !ok || d.Dropped {
		return
	}
	if s.Run != nil && s.Run.ID == f.Run {
		s.Run.Failed = &d
	}
}

func (s *State) end(f Fact, d messages.RunDone) {
	if _, ok := s.Finished(f.Run); !ok {
		s.FinishedRuns = append(s.FinishedRuns, messages.RunEnd{
			Run: f.Run, Verb: d.Verb, Outcome: d.Outcome, Step: d.Step, Error: d.Error,
			Message: d.Message, Time: d.Time, Millis: d.Millis,
		})
		if extra := len(s.FinishedRuns) - keptRuns; extra > 0 {
			s.FinishedRuns = slices.Delete(s.FinishedRuns, 0, extra)
		}
	}
	if s.Run == nil || s.Run.ID != f.Run {
		return // a refused command ends without having been claimed
	}
	s.Run = nil
	if d.Outcome == messages.OutcomeSucceeded && (d.Verb == messages.VerbDelete || d.Verb == messages.VerbSweep && !s.Exists()) {
		s.Snapshot = messages.Snapshot{Deployment: s.Deployment, FinishedRuns: s.FinishedRuns}
	}
}

func doneKey(step, role string) string {
	if role == "" || role == RoleCurrent {
		return step
	}
	return step + ":" + role
}

func ptr[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
