package plan

import (
	"fmt"
	"slices"

	"github.com/microbosh/microbosh/pkg/messages"
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
	known, steps := map[string]bool{}, map[string]bool{}
	for id := range s.Open {
		steps[id] = true
	}
	if s.VM != nil {
		known[s.VM.CID], steps[s.VM.Step] = true, true // its ports carry its step
	}
	for _, d := range []*messages.Disk{s.Disk, s.NewDisk, s.OldDisk} {
		if d != nil {
			known[d.CID] = true
		}
	}
	for _, sc := range s.OldStemcells {
		known[sc.CID] = true
	}
	if s.Stemcell != nil {
		known[s.Stemcell.CID] = true
	}
	var out []Finding
	for _, r := range tagged {
		if r.Kind == "snapshot" || known[r.CID] || steps[r.Step] && (r.Kind == "port" || s.VM == nil || r.Step != s.VM.Step) {
			continue
		}
		out = append(out, Finding{
			r.Kind, r.CID, fmt.Sprintf("carries this deployment's tag (step %s) and is not in its journal", r.Step),
			"look at it; when nothing needs it, delete it in the cloud",
		})
	}
	return out
}
