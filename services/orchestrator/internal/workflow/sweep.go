package workflow

import (
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
)

// sweepTable deletes what bears the deployment's tags and is no part of it: first
// what holds on to the rest.
func sweepTable() []Row {
	return []Row{
		{StepDeleteVM, orphan(StepDeleteVM, messages.KindVM)},
		{StepDeletePort, orphan(StepDeletePort, messages.KindPort)},
		{StepDeleteDisk, orphan(StepDeleteDisk, messages.KindDisk)},
		{StepDeleteStemcell, orphan(StepDeleteStemcell, messages.KindStemcell)},
	}
}

func orphan(step, kind string) func(State, Request) *messages.StepInputs {
	return func(s State, r Request) *messages.StepInputs {
		for _, o := range r.Orphans {
			role := "orphan:" + o.CID
			if o.Kind != kind || s.Run.Done[doneKey(step, role)] {
				continue
			}
			in := &messages.StepInputs{Role: role, Owner: o.Step}
			switch kind {
			case messages.KindVM:
				in.VMCID = o.CID
				if strings.HasPrefix(o.Name, "vm-") { // a name that was minted is the registry's key
					in.VMName = o.Name
				}
			case messages.KindPort:
				in.PortCID = o.CID
			case messages.KindDisk:
				in.DiskCID = o.CID
			case messages.KindStemcell:
				in.StemcellCID = o.CID
			}
			return in
		}
		return nil
	}
}

// needs refuses to sweep what is part of the deployment, or may become it.
func (s State) needs(orphans []messages.Resource) *messages.Error {
	for _, o := range orphans {
		if _, open := s.Open[o.Step]; !open && !s.Knows(o) && !s.twin(o) {
			continue
		}
		return messages.Errorf(messages.CodeConflict, "the %s %s is part of the deployment: it is not deleted", o.Kind, o.CID).
			WithHint("look again with `microbosh doctor`")
	}
	return nil
}

// twin tells a server that bears the VM's own step: with it the VM's ports
// would go.
func (s State) twin(r messages.Resource) bool {
	return r.Kind == messages.KindVM && s.VM != nil && r.Step == s.VM.Step
}

// Sweeps tells whether a sweep would delete a resource.
func (s State) Sweeps(r messages.Resource) bool { return s.needs([]messages.Resource{r}) == nil }

// Knows tells whether a resource is part of the deployment. A server's ports
// bear the step that made the server.
func (s State) Knows(r messages.Resource) bool {
	if s.VM != nil && (r.CID == s.VM.CID || r.Kind == messages.KindPort && r.Step == s.VM.Step) {
		return true
	}
	if s.Stemcell != nil && r.CID == s.Stemcell.CID {
		return true
	}
	for _, old := range s.OldStemcells {
		if r.CID == old.CID {
			return true
		}
	}
	return s.disk(r.CID) != nil
}
