package workflow

import (
	"encoding/json"

	"github.com/microbosh/microbosh/pkg/messages"
)

// importTable takes over what there is; what the cloud no longer has is left
// out, except for a disk, whose loss the step itself refuses.
func importTable() []Row {
	return []Row{
		{StepAdoptStemcell, needAdoption(StepAdoptStemcell, func(i messages.Import) messages.StepInputs {
			return messages.StepInputs{StemcellCID: i.StemcellCID, StemcellName: i.StemcellName, StemcellSHA1: i.StemcellSHA1}
		})},
		{StepAdoptVM, needAdoption(StepAdoptVM, func(i messages.Import) messages.StepInputs {
			return messages.StepInputs{VMCID: i.VMCID, AgentID: i.AgentID, ConfigSHA1: i.ConfigSHA1, StemcellSHA1: i.StemcellSHA1}
		})},
		{StepAdoptDisk, func(s State, r Request) *messages.StepInputs {
			in := needAdoption(StepAdoptDisk, func(i messages.Import) messages.StepInputs { return messages.StepInputs{DiskCID: i.DiskCID} })(s, r)
			if in != nil {
				in.Properties = r.DiskProperties // nobody recorded them: they are taken for what the manifest says
			}
			return in
		}},
		{StepSaveFingerprints, func(s State, r Request) *messages.StepInputs {
			if s.Run.Done[StepSaveFingerprints] {
				return nil
			}
			return &messages.StepInputs{ConfigSHA1: r.Import.ConfigSHA1, StemcellSHA1: r.Import.StemcellSHA1}
		}},
	}
}

// needAdoption wants a step once in a run, when the import names something that
// the state does not have yet.
func needAdoption(step string, inputs func(messages.Import) messages.StepInputs) func(State, Request) *messages.StepInputs {
	return func(s State, r Request) *messages.StepInputs {
		in := inputs(*r.Import)
		cid := in.StemcellCID + in.VMCID + in.DiskCID
		if cid == "" || s.Run.Done[step] || s.Knows(messages.Resource{CID: cid}) {
			return nil
		}
		return &in
	}
}

// conflicts tells whether the state holds what the import does not name: then
// it is another deployment, or one that has moved on.
func (s State) conflicts(i messages.Import) bool {
	return s.NewDisk != nil || s.OldDisk != nil || len(s.OldStemcells) > 0 ||
		(s.VM != nil && s.VM.CID != i.VMCID) || (s.Disk != nil && s.Disk.CID != i.DiskCID) ||
		(s.Stemcell != nil && s.Stemcell.CID != i.StemcellCID)
}

func adopted(s *State, intent messages.Intent, outputs json.RawMessage) {
	in, out := intent.Inputs, read[messages.AdoptOutputs](outputs)
	if !out.Exists {
		return
	}
	switch intent.Step {
	case StepAdoptStemcell:
		s.Stemcell = &messages.Stemcell{
			CID: in.StemcellCID, Name: in.StemcellName, SHA1: in.StemcellSHA1, Uploaded: out.Owned, Step: intent.StepID,
		}
	case StepAdoptVM:
		s.VM = &messages.VM{
			CID: in.VMCID, Name: out.Name, AgentID: in.AgentID, Step: intent.StepID, MetadataSet: true,
			IP: out.IP, ServiceIP: out.ServiceIP, ConfigSHA1: in.ConfigSHA1, StemcellSHA1: in.StemcellSHA1, Running: true,
		}
	case StepAdoptDisk:
		s.Disk = &messages.Disk{
			CID: in.DiskCID, SizeMiB: out.SizeMiB, WantedMiB: out.SizeMiB, Properties: in.Properties, Step: intent.StepID,
			AttachedTo: out.AttachedTo, Hint: out.Hint, Mounted: out.AttachedTo != "",
		}
	}
}
