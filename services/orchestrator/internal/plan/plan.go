package plan

import (
	"fmt"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// Action is what happens to a thing.
type Action string

// The actions.
const (
	Create   Action = "create"
	Recreate Action = "recreate" // destroyed, and another one made
	Change   Action = "change"   // stays, but is not left alone
	Keep     Action = "keep"
	Destroy  Action = "destroy"
)

// Things that a deployment consists of.
const (
	KindVM       = "vm"
	KindDisk     = "disk"
	KindStemcell = "stemcell"
)

// Item is one thing and what happens to it.
type Item struct {
	Action Action `json:"action"`
	Kind   string `json:"kind"`
	CID    string `json:"cid,omitempty"` // of what there is now
	Why    string `json:"why,omitempty"` // in words
}

// Plan is what a run would do.
type Plan struct {
	Deployment string        `json:"deployment"`
	Verb       messages.Verb `json:"verb"`
	Changes    bool          `json:"changes"` // whether anything would be done
	Reason     string        `json:"reason"`  // why it acts, or that it does not
	Settles    []string      `json:"settles"` // step ids that earlier runs left open: asked for first
	Items      []Item        `json:"items"`
	Steps      []string      `json:"steps"` // in order
	Drift      []Finding     `json:"drift"`
	Seen       bool          `json:"seen"` // whether the cloud was asked
}

// Destroys tells whether something would be gone afterwards.
func (p Plan) Destroys() bool {
	for _, i := range p.Items {
		if i.Action == Destroy || i.Action == Recreate {
			return true
		}
	}
	return false
}

// Make plans a request. The state is left alone.
func Make(s workflow.State, r workflow.Request, seen Seen) Plan {
	forecast := workflow.Foresee(s, r, seen.check())
	p := Plan{
		Deployment: s.Deployment, Verb: r.Verb, Seen: seen.Asked,
		Settles: []string{}, Items: []Item{}, Steps: []string{}, Drift: Compare(s.Snapshot, seen),
	}
	for _, i := range forecast.Settles {
		p.Settles = append(p.Settles, i.StepID)
	}
	for _, i := range forecast.Steps {
		p.Steps = append(p.Steps, i.Step)
		if p.Reason == "" {
			p.Reason = i.Why
		}
	}
	p.Changes = forecast.Done.Outcome != messages.OutcomeSkipped
	if p.Reason == "" {
		p.Reason = reason(s, forecast)
	}
	p.Items = append(p.Items, vm(s, forecast, p.Changes))
	p.Items = append(p.Items, disks(s, r, forecast)...)
	p.Items = append(p.Items, stemcells(s, r, forecast)...)
	return p
}

func reason(s workflow.State, f workflow.Forecast) string {
	switch {
	case f.Done.Message != "":
		return f.Done.Message
	case f.Done.Error != nil:
		return f.Done.Error.Message
	case s.Exists():
		return workflow.ReasonUnfinished
	default:
		return "Will deploy because nothing is deployed yet"
	}
}

func vm(s workflow.State, f workflow.Forecast, changes bool) Item {
	before, after := s.VM, f.After.VM
	switch {
	case before == nil:
		return Item{Action: Create, Kind: KindVM}
	case after == nil || after.CID != before.CID:
		return Item{Recreate, KindVM, before.CID, "its jobs are down from its end until the new one has started"}
	case changes:
		return Item{Change, KindVM, before.CID, "its jobs are stopped, set up again and started"}
	default:
		return Item{Action: Keep, Kind: KindVM, CID: before.CID}
	}
}

func disks(s workflow.State, r workflow.Request, f workflow.Forecast) []Item {
	var out []Item
	before, after := s.Disk, f.After.Disk
	switch {
	case before == nil && after != nil:
		out = append(out, Item{Action: Create, Kind: KindDisk, Why: fmt.Sprintf("%d MiB, empty", r.DiskMiB)})
	case before != nil && after != nil && before.CID != after.CID:
		out = append(out, Item{Recreate, KindDisk, before.CID, fmt.Sprintf(
			"%d MiB instead of %d MiB; the content is copied before the old one goes", r.DiskMiB, before.WantedMiB)})
	case before != nil && f.After.VM != nil && s.VM != nil && s.VM.CID != f.After.VM.CID:
		out = append(out, Item{Keep, KindDisk, before.CID, "with its content; it moves to the new VM"})
	case before != nil:
		out = append(out, Item{Action: Keep, Kind: KindDisk, CID: before.CID})
	}
	if s.OldDisk != nil && f.After.OldDisk == nil {
		out = append(out, Item{Destroy, KindDisk, s.OldDisk.CID, "its content was copied to the current one by an earlier run"})
	}
	if s.NewDisk != nil && f.After.NewDisk == nil && (after == nil || after.CID != s.NewDisk.CID) {
		out = append(out, Item{Destroy, KindDisk, s.NewDisk.CID, "it was made for a copy that did not end, and does not fit any more"})
	}
	return out
}

func stemcells(s workflow.State, r workflow.Request, f workflow.Forecast) []Item {
	var out []Item
	if before, after := s.Stemcell, f.After.Stemcell; before != nil && after != nil && before.CID == after.CID {
		out = append(out, Item{Action: Keep, Kind: KindStemcell, CID: before.CID})
	} else {
		why := "uploaded from " + r.StemcellName + " " + r.StemcellVersion
		if r.FetchSpec {
			why = "the image " + r.StemcellSHA1 + " that the cloud has"
		}
		out = append(out, Item{Action: Create, Kind: KindStemcell, Why: why})
		if before != nil {
			out = append(out, old(*before))
		}
	}
	for _, o := range s.OldStemcells {
		out = append(out, old(o))
	}
	return out
}

// old is what becomes of a stemcell that is not used any more.
func old(s messages.Stemcell) Item {
	if s.Uploaded {
		return Item{Destroy, KindStemcell, s.CID, "not used any more"}
	}
	return Item{Keep, KindStemcell, s.CID, "not used any more, but it was not uploaded by microbosh"}
}
