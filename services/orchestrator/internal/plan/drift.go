package plan

import (
	"fmt"
	"slices"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// Seen is what the cloud and the VM's agent answered. The zero value means that
// nobody was asked.
type Seen struct {
	Asked    bool
	VM       bool            // it exists
	Disks    map[string]bool // recorded disks that were asked for: whether they exist
	Attached []string        // to the VM; nil = not known
	Tagged   []messages.Resource

	Agent *bool // whether it answers; nil = not asked
}

// check is what a run would find. Who was not asked is taken to be well.
func (s Seen) check() messages.CheckVMOutputs {
	if !s.Asked {
		return messages.CheckVMOutputs{Exists: true, Answers: true}
	}
	return messages.CheckVMOutputs{Exists: s.VM, Answers: s.VM && (s.Agent == nil || *s.Agent)}
}

// Finding is one thing that is not as the journal tells it.
type Finding struct {
	Kind string `json:"kind"`
	CID  string `json:"cid"`
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// Compare lists where the cloud differs from the journal.
func Compare(s messages.Snapshot, seen Seen) []Finding {
	out := []Finding{}
	if !seen.Asked {
		return out
	}
	if s.VM != nil {
		out = append(out, machine(*s.VM, seen)...)
	}
	for _, d := range []*messages.Disk{s.Disk, s.NewDisk, s.OldDisk} {
		if d == nil {
			continue
		}
		if f, ok := volume(*d, s.VM, seen); ok {
			out = append(out, f)
		}
	}
	return append(out, strangers(s, seen.Tagged)...)
}

func machine(vm messages.VM, seen Seen) []Finding {
	if !seen.VM {
		return []Finding{{KindVM, vm.CID, "does not exist in the cloud any more", "a deploy makes another one and gives it the disk"}}
	}
	for _, r := range seen.Tagged {
		if r.Kind == KindVM && r.CID == vm.CID && r.Status != "ACTIVE" {
			return []Finding{{KindVM, vm.CID, "is " + r.Status, "start it in the cloud, or deploy: that makes another one"}}
		}
	}
	if seen.Agent != nil && !*seen.Agent {
		return []Finding{{KindVM, vm.CID, "its agent does not answer", "`microbosh console` shows what the VM prints"}}
	}
	return nil
}

func volume(d messages.Disk, vm *messages.VM, seen Seen) (Finding, bool) {
	exists, asked := seen.Disks[d.CID]
	switch {
	case asked && !exists:
		return Finding{
			KindDisk, d.CID, "does not exist in the cloud any more, and its content with it",
			"look for it in the cloud first; microbosh never makes an empty disk in place of a lost one",
		}, true
	case vm != nil && seen.VM && seen.Attached != nil && d.AttachedTo == vm.CID && !slices.Contains(seen.Attached, d.CID):
		return Finding{KindDisk, d.CID, "is not attached to the VM", "deploy with --recreate attaches it to a new VM"}, true
	}
	return Finding{}, false
}

// strangers carry the deployment's tag and are not in its journal. What an open
// intent may have made is not one of them: the next run settles that.
func strangers(s messages.Snapshot, tagged []messages.Resource) []Finding {
	var out []Finding
	for _, r := range Strangers(s, tagged) {
		out = append(out, Finding{
			r.Kind, r.CID, fmt.Sprintf("carries this deployment's tag (step %s) and is not in its journal", r.Step),
			"`microbosh doctor` tells whether it can go, and deletes it with --delete-orphans",
		})
	}
	return out
}

// Strangers picks what is no part of the deployment, and nothing that an open
// intent is about. Snapshots are a Director's business.
func Strangers(s messages.Snapshot, tagged []messages.Resource) []messages.Resource {
	var out []messages.Resource
	state := workflow.State{Snapshot: s}
	for _, r := range tagged {
		if _, open := s.Open[r.Step]; r.Kind != messages.KindSnapshot && !open && !state.Knows(r) {
			out = append(out, r)
		}
	}
	return out
}
