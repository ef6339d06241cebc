package workflow

import (
	"sort"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Request is what a run was asked for, as far as decisions need it.
type Request struct {
	Run      string
	Verb     messages.Verb
	Recreate bool

	ConfigSHA1      string // fingerprint of the manifest
	StemcellSHA1    string // fingerprint of the stemcell
	StemcellName    string
	StemcellVersion string
	StemcellAPI     int
	FetchSpec       bool // the stemcell was no .tgz: its apply spec is in the VM

	Orphans []messages.Resource // what a sweep deletes

	Tunnel bool // the VM reads its registry through an SSH tunnel

	DiskMiB        int    // 0: no persistent disk
	DiskProperties string // compact JSON

	Import *messages.Import // of an import: what there is
}

// Action is the next thing to do: exactly one field is set.
type Action struct {
	Resume *messages.Intent       // ask again for an effect whose end is unknown
	Intend *messages.StepIntended // record this intent, then ask; StepID and Deadline are the caller's to fill
	Finish *messages.RunDone      // end the run
}

// Decide returns the next action of the open run.
func Decide(s State, r Request) Action {
	if failed := s.Run.Failed; failed != nil {
		return finish(r, messages.RunDone{Outcome: messages.OutcomeFailed, Step: failed.Step, Error: failed.Error})
	}
	if intent := s.openIntent(); intent != nil {
		return Action{Resume: intent}
	}
	if s.Run.Cancelled {
		return finish(r, messages.RunDone{
			Outcome: messages.OutcomeCancelled,
			Error:   messages.Errorf(messages.CodeCancelled, "the run was cancelled").WithHint("the next deploy goes on from here; `microbosh delete` takes everything away"),
		})
	}
	if refusal := refuse(s, r); refusal != nil {
		return finish(r, *refusal)
	}
	if s.unchanged(r) {
		if c := s.checked(); c != nil && c.Exists && c.Answers {
			return finish(r, messages.RunDone{Outcome: messages.OutcomeSkipped, Message: ReasonUnchanged})
		}
	}
	for _, row := range Table(r.Verb) {
		if in := row.Need(s, r); in != nil {
			return Action{Intend: &messages.StepIntended{
				Step: row.Step, N: s.Uses[row.Step] + 1, Inputs: *in, Why: why(s, r, row.Step),
			}}
		}
	}
	return finish(r, messages.RunDone{Outcome: messages.OutcomeSucceeded})
}

func finish(r Request, done messages.RunDone) Action {
	done.Verb = r.Verb
	return Action{Finish: &done}
}

// openIntent is the oldest open one.
func (s State) openIntent() *messages.Intent {
	ids := make([]string, 0, len(s.Open))
	for id := range s.Open {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil
	}
	sort.Slice(ids, func(i, j int) bool {
		a, b := s.Open[ids[i]], s.Open[ids[j]]
		if !a.Time.Equal(b.Time) {
			return a.Time.Before(b.Time)
		}
		return ids[i] < ids[j]
	})
	intent := s.Open[ids[0]]
	return &intent
}

// refuse ends a run that must not do anything.
func refuse(s State, r Request) *messages.RunDone {
	if r.Verb == messages.VerbCreate && s.ConfigSHA1 != "" && !s.Run.Done[StepSaveFingerprints] {
		return &messages.RunDone{
			Outcome: messages.OutcomeFailed,
			Error:   messages.Errorf(messages.CodeInstanceExists, "Instance exists. Did you mean to --update?"),
		}
	}
	if r.Verb == messages.VerbImport && !s.Run.Done[StepSaveFingerprints] && (s.ConfigSHA1 != "" || s.conflicts(*r.Import)) {
		return &messages.RunDone{
			Outcome: messages.OutcomeFailed,
			Error: messages.Errorf(messages.CodeInstanceExists, "the journal knows this deployment already").
				WithHint("`microbosh state show` prints what it knows; there is nothing to import"),
		}
	}
	if r.Verb == messages.VerbSweep {
		if err := s.needs(r.Orphans); err != nil {
			return &messages.RunDone{Outcome: messages.OutcomeFailed, Error: err}
		}
	}
	if onlyJobs(r.Verb) {
		if err := s.cannotReach(r.Verb); err != nil {
			return &messages.RunDone{Outcome: messages.OutcomeFailed, Error: err}
		}
	}
	return nil
}

// cannotReach says why the jobs of the VM can neither be stopped nor started.
func (s State) cannotReach(verb messages.Verb) *messages.Error {
	c := s.checked()
	switch {
	case s.VM == nil:
		return messages.Errorf(messages.CodeNoDeployment, "No existing instance to %s", verb)
	case verb != messages.VerbStop && s.ConfigSHA1 == "":
		return messages.Errorf(messages.CodeNoDeployment, "the last deploy did not finish: there is nothing to %s yet", verb).
			WithHint("deploy again: it goes on from there")
	case c != nil && !c.Exists:
		return messages.Errorf(messages.CodeCloudNotFound, "the VM %s no longer exists in the cloud", s.VM.CID).
			WithHint("`microbosh deploy --update` makes another one and gives it the disk")
	case c != nil && !c.Answers:
		return messages.Errorf(messages.CodeAgentTimeout, "the agent of the VM %s does not answer", s.VM.CID).
			WithHint("`microbosh console` shows what the VM prints; `microbosh deploy --update --recreate` makes another one")
	default:
		return nil
	}
}

func (s State) unchanged(r Request) bool {
	return r.Verb == messages.VerbUpdate && !r.Recreate && s.VM != nil && s.VM.Running && !s.Run.Done[StepSaveFingerprints] &&
		s.ConfigSHA1 != "" && s.ConfigSHA1 == r.ConfigSHA1 &&
		s.StemcellSHA1 != "" && s.StemcellSHA1 == r.StemcellSHA1
}

// Reasons, in the original's words where it had them.
const (
	ReasonUnknown    = "Will deploy because new stemcell fingerprint is unknown"
	ReasonStemcell   = "Will deploy due to stemcell changes"
	ReasonConfig     = "Will deploy due to configuration changes"
	ReasonUnchanged  = "Will skip deploy due to no changes"
	ReasonRecreate   = "Will deploy because the VM is to be recreated"
	ReasonUnfinished = "Will deploy because the last deploy did not finish"
	ReasonGone       = "Will deploy because the VM no longer exists in the cloud"
	ReasonSilent     = "Will deploy because the VM's agent does not answer"
	ReasonStopped    = "Will deploy because the VM's jobs are stopped"
	ReasonImported   = "Will deploy because nobody recorded what the VM was made from"
)

// Reason says in words why an update acts, or that it does not.
func Reason(s State, r Request) string {
	c := s.checked()
	switch {
	case r.StemcellSHA1 == "":
		return ReasonUnknown
	case s.VM != nil && s.VM.StemcellSHA1 == "":
		return ReasonImported
	case s.madeFrom().StemcellSHA1 != r.StemcellSHA1:
		return ReasonStemcell
	case s.madeFrom().ConfigSHA1 != r.ConfigSHA1:
		return ReasonConfig
	case r.Recreate:
		return ReasonRecreate
	case c != nil && !c.Exists:
		return ReasonGone
	case c != nil && !c.Answers:
		return ReasonSilent
	case s.ConfigSHA1 == "" || s.VM == nil:
		return ReasonUnfinished
	case !s.VM.Running:
		return ReasonStopped
	default:
		return ReasonUnchanged
	}
}

// madeFrom is what the present VM was made from, else what was fingerprinted.
func (s State) madeFrom() messages.VM {
	if s.VM != nil {
		return *s.VM
	}
	return messages.VM{ConfigSHA1: s.ConfigSHA1, StemcellSHA1: s.StemcellSHA1}
}

// why is the reason that a step tells: those that clear the way for another VM,
// and the first one of a VM that stays.
func why(s State, r Request, step string) string {
	if r.Verb != messages.VerbUpdate || s.Run == nil || s.Run.Done[StepCreateVM] {
		return ""
	}
	switch step {
	case StepDeleteVM, StepUnmountDisk, StepDetachDisk, StepCreateStemcell:
		return Reason(s, r)
	case StepStop:
		if s.replace(r) {
			return Reason(s, r)
		}
	case StepWaitAgent:
		return Reason(s, r)
	}
	return ""
}
