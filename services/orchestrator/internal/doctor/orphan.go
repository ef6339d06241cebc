package doctor

import (
	"fmt"
	"slices"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/plan"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// Orphans tells what bears the tags of a name's deployments and is no part of
// the living one. Only those go with a sweep whose create the journal knows to
// have ended: what it does not know it may have lost.
func Orphans(state workflow.State, h journal.History, tagged []messages.Resource) (Check, []messages.Resource) {
	c := Check{Name: "orphans", About: "none"}
	if state.UID != "" {
		c.About = fmt.Sprintf("none; %d resources bear the deployment's tags", len(tagged))
	}
	var sweep []messages.Resource
	for _, r := range plan.Strangers(state.Snapshot, tagged) {
		text := fmt.Sprintf("%s %s%s is no part of the deployment (step %s)", r.Kind, r.CID, named(r), r.Step)
		switch uid, _, _, _ := messages.ParseStepID(r.Step); {
		case !slices.Contains(h.UIDs, uid):
			c.add(text+", and this bus knows no deployment with the uid "+uid,
				"another control plane may own it; if this one lost its journal, `microbosh state rebuild` brings it back")
		case !h.Ended[r.Step]:
			c.add(text+", and its journal does not know that step", "its journal may have lost it: do not delete it before you know what it is")
		case !state.Sweeps(r):
			c.add(text+", but bears the same step as its VM", "look at both in the cloud and delete the one that is not the VM by hand")
		default:
			c.add(text, "`microbosh doctor --delete-orphans` deletes it")
			sweep = append(sweep, r)
		}
	}
	return c, sweep
}

func named(r messages.Resource) string {
	if r.Name == "" || r.Name == r.CID {
		return ""
	}
	return " (" + r.Name + ")"
}
