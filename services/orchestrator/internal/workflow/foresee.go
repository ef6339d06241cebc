package workflow

import (
	"encoding/json"
	"fmt"

	"github.com/microbosh/microbosh/pkg/messages"
)

// foreseenSteps bounds a forecast. The longest run there is has some thirty
// steps.
const foreseenSteps = 200

// Forecast is what a run would do if nothing failed.
type Forecast struct {
	Settles []messages.Intent       // what earlier runs left open is asked for first
	Steps   []messages.StepIntended // then these, in order
	Done    messages.RunDone        // how it ends
	After   State                   // what there is then
}

// Foresee runs a request on a copy of the state, with every step succeeding and
// check as the answer of check_vm.
func Foresee(s State, r Request, check messages.CheckVMOutputs) Forecast {
	s = Fold(s, Fact{Run: r.Run, Body: messages.RunClaimed{Verb: r.Verb, Claim: 1}})
	out := Forecast{}
	for range foreseenSteps {
		action := Decide(s, r)
		var intent messages.StepIntended
		switch {
		case action.Finish != nil:
			out.Done, out.After = *action.Finish, s
			return out
		case action.Resume != nil:
			intent = action.Resume.StepIntended
			out.Settles = append(out.Settles, *action.Resume)
		default:
			intent = *action.Intend
			intent.StepID = messages.StepID(s.UID, intent.Step, intent.N)
			out.Steps = append(out.Steps, intent)
			s = Fold(s, Fact{Run: r.Run, Body: intent})
		}
		s = Fold(s, Fact{Run: r.Run, Body: messages.StepDone{
			Step: intent.Step, StepID: intent.StepID, N: intent.N, Outputs: foreseenOutputs(intent, r, check),
		}})
	}
	out.Done, out.After = messages.RunDone{
		Verb: r.Verb, Outcome: messages.OutcomeFailed, Error: messages.Errorf(messages.CodeInternal, "the plan does not end"),
	}, s
	return out
}

func foreseenOutputs(i messages.StepIntended, r Request, check messages.CheckVMOutputs) json.RawMessage {
	var v any
	switch i.Step {
	case StepCheckVM:
		v = check
	case StepCreateStemcell:
		v = messages.CreateStemcellOutputs{CID: foreseen(i), Uploaded: true}
		if r.FetchSpec {
			v = messages.CreateStemcellOutputs{CID: r.StemcellSHA1}
		}
	case StepCreateVM:
		v = messages.CreateVMOutputs{CID: foreseen(i)}
	case StepDiscoverIP:
		v = messages.DiscoverIPOutputs{IP: foreseen(i)}
	case StepCreateDisk:
		v = messages.CreateDiskOutputs{CID: foreseen(i), SizeMiB: i.Inputs.SizeMiB}
	default:
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return raw
}

// foreseen stands for the CID of what a step will make; no cloud gives such a
// one.
func foreseen(i messages.StepIntended) string { return fmt.Sprintf("(%s %d)", i.Step, i.N) }
