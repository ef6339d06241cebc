package cli

import (
	"maps"
	"slices"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

// outcome tells the end of a run that did not succeed, and ends the program. s is
// the deployment as the run left it, again the command that goes on.
func (a *app) outcome(done messages.RunDone, s messages.Snapshot, again string) error {
	switch done.Outcome {
	case messages.OutcomeSucceeded, messages.OutcomeSkipped:
		return nil
	}
	e := done.Error
	if e == nil {
		e = messages.Errorf(messages.CodeInternal, "the run ended %s without a reason", done.Outcome)
	}
	if done.Step != "" {
		e = e.WithDetail("step", done.Step)
	}
	if again == "" {
		again = words(done.Verb)
	}
	proposed := next(done, e.Code, s, again)
	for i := range proposed {
		proposed[i].Command += a.inputWords()
	}
	a.ui.Failure(ui.Failure{
		Verb: done.Verb, Outcome: done.Outcome, Took: time.Duration(done.Millis) * time.Millisecond,
		Step: done.Step, Error: e, Left: left(s), Next: proposed,
	})
	if done.Outcome == messages.OutcomeNeedsAttention {
		return exitError(exitAttention)
	}
	return exitError(exitCode(e))
}

// words are the command that asks for a verb, as far as a run tells.
func words(v messages.Verb) string {
	switch v {
	case messages.VerbCreate:
		return "microbosh deploy STEMCELL"
	case messages.VerbUpdate:
		return "microbosh deploy STEMCELL --update"
	case messages.VerbSweep:
		return "microbosh doctor --delete-orphans"
	case messages.VerbImport:
		return "microbosh state import FILE"
	default:
		return "microbosh " + string(v)
	}
}

// left is what there is in the cloud.
func left(s messages.Snapshot) []ui.Left {
	var out []ui.Left
	if s.VM != nil {
		out = append(out, ui.Left{Kind: "VM", CID: s.VM.CID})
	}
	for _, each := range []struct {
		disk *messages.Disk
		note string
	}{{s.Disk, ""}, {s.NewDisk, "(new, the content is not copied yet)"}, {s.OldDisk, "(old, its content is copied)"}} {
		if each.disk != nil {
			out = append(out, ui.Left{Kind: "persistent disk", CID: each.disk.CID, Note: each.note})
		}
	}
	if s.Stemcell != nil {
		out = append(out, ui.Left{Kind: "stemcell", CID: s.Stemcell.CID})
	}
	for _, old := range s.OldStemcells {
		out = append(out, ui.Left{Kind: "stemcell", CID: old.CID, Note: "(old)"})
	}
	for _, id := range slices.Sorted(maps.Keys(s.Open)) {
		out = append(out, ui.Left{Kind: "open step", CID: id, Note: "(what it made, if anything, the next run finds)"})
	}
	return out
}

// next are the commands that help now.
func next(done messages.RunDone, code messages.Code, s messages.Snapshot, again string) []ui.Next {
	var out []ui.Next
	if s.VM != nil {
		switch code {
		case messages.CodeAgentTimeout, messages.CodeVMFailed:
			out = append(out, ui.Next{Command: "microbosh console", About: "what the VM prints"})
		case messages.CodeDirectorTimeout, messages.CodeAgentFailed, messages.CodeRenderFailed:
			out = append(out, ui.Next{Command: "microbosh logs", About: "what its jobs wrote"})
		}
	}
	about := "goes on from here"
	switch {
	case done.Outcome == messages.OutcomeNeedsAttention:
		about = "finds out first, and never makes a second one"
	case code == messages.CodeInstanceExists:
		again, about = words(messages.VerbUpdate), "updates what there is"
	case done.Step == "":
		about = "once the cause is mended"
	}
	out = append(out, ui.Next{Command: again, About: about})
	if len(left(s)) > 0 && code != messages.CodeInstanceExists && (done.Verb == messages.VerbCreate || done.Outcome == messages.OutcomeCancelled) {
		out = append(out, ui.Next{Command: "microbosh delete", About: "takes away what is left"})
	}
	return out
}
