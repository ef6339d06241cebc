package journal

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// History is what the whole journal of a name tells, all of its deployments'.
type History struct {
	UIDs   []string        // of its deployments, the last one first
	Ended  map[string]bool // step ids whose end is recorded
	Stamps []Stamp         // of its facts, in their order
}

// Stamp is when a fact was written by its writer's clock, and stored by the
// bus's.
type Stamp struct {
	Source  string
	Written time.Time
	Stored  time.Time
}

// History reads the whole journal of a deployment's name.
func (j *Journal) History(ctx context.Context, deployment string) (History, error) {
	msgs, err := j.stream.Read(ctx, messages.StreamJournal, messages.JournalFilter(deployment), 0)
	if err != nil {
		return History{}, fmt.Errorf("cannot read the journal of %s: %w", deployment, err)
	}
	h := History{Ended: map[string]bool{}}
	for _, m := range msgs {
		e, err := messages.Decode(m.Data, nil)
		if err != nil {
			continue // folds to nothing either
		}
		h.Stamps = append(h.Stamps, Stamp{e.Source, e.Time, m.Time})
		if e.DeploymentUID != "" && (len(h.UIDs) == 0 || h.UIDs[0] != e.DeploymentUID) {
			h.UIDs = slices.Insert(slices.DeleteFunc(h.UIDs, func(uid string) bool { return uid == e.DeploymentUID }), 0, e.DeploymentUID)
		}
		switch body := workflow.ReadBody(e.TypeName(messages.ClassFact), e.Data).(type) {
		case messages.StepDone:
			h.Ended[body.StepID] = true
		case messages.StepFailed:
			h.Ended[body.StepID] = true
		}
	}
	return h, nil
}
