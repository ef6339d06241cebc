package workflow

import (
	"encoding/json"

	"github.com/microbosh/microbosh/pkg/messages"
)

// effect folds a finished step into the resources.
func effect(s *State, intent messages.Intent, outputs json.RawMessage) {
	in := intent.Inputs
	switch intent.Step {
	case StepCreateStemcell:
		out := read[messages.CreateStemcellOutputs](outputs)
		if s.Stemcell != nil {
			s.OldStemcells = append(s.OldStemcells, *s.Stemcell)
		}
		s.Stemcell = &messages.Stemcell{
			CID: out.CID, Uploaded: out.Uploaded, Name: in.StemcellName, Version: in.Version,
			SHA1: in.StemcellSHA1, API: in.StemcellAPI, Step: intent.StepID,
		}
	case StepDeleteStemcell:
		s.dropStemcell(in.StemcellCID)
	case StepCreateVM:
		out := read[messages.CreateVMOutputs](outputs)
		s.VM = &messages.VM{
			CID: out.CID, Name: in.VMName, AgentID: in.AgentID, Networks: out.Networks, Step: intent.StepID,
			ConfigSHA1: in.ConfigSHA1, StemcellSHA1: in.StemcellSHA1,
		}
		s.Target = nil
	case StepDeleteVM:
		for _, d := range []*messages.Disk{s.Disk, s.NewDisk, s.OldDisk} {
			if d != nil && d.AttachedTo == in.VMCID {
				d.AttachedTo, d.Hint, d.Mounted = "", "", false
			}
		}
		if s.VM != nil && s.VM.CID == in.VMCID {
			s.VM, s.Target = nil, nil
		}
	case StepAdoptStemcell, StepAdoptVM, StepAdoptDisk:
		adopted(s, intent, outputs)
	case StepSaveFingerprints:
		s.ConfigSHA1, s.StemcellSHA1 = in.ConfigSHA1, in.StemcellSHA1
	case StepWaitDirector:
		if len(outputs) > 0 {
			target := read[messages.Target](outputs)
			s.Target = &target
		}
		s.vmEffect(intent, outputs)
	case StepCreateDisk, StepAttachDisk, StepMountDisk, StepMigrateDisk, StepUnmountDisk, StepDetachDisk, StepDeleteDisk:
		s.diskEffect(intent, outputs)
	default:
		s.vmEffect(intent, outputs)
	}
}

func (s *State) vmEffect(intent messages.Intent, outputs json.RawMessage) {
	if s.VM == nil || s.VM.CID != intent.Inputs.VMCID {
		return
	}
	switch intent.Step {
	case StepSetVMMetadata:
		s.VM.MetadataSet = true
	case StepDiscoverIP:
		out := read[messages.DiscoverIPOutputs](outputs)
		s.VM.IP, s.VM.ServiceIP = out.IP, out.ServiceIP
	case StepOpenTunnel:
		s.VM.HostKey = read[messages.OpenTunnelOutputs](outputs).HostKey
	case StepWaitAgent:
		s.VM.AgentSeen = true
	case StepStop:
		s.VM.Running = false
	case StepWaitDirector:
		s.VM.Running = true
	case StepCheckVM:
		if s.Run != nil {
			out := read[messages.CheckVMOutputs](outputs)
			s.Run.Check, s.Run.CheckedVM = &out, intent.Inputs.VMCID
		}
	}
}

func (s *State) diskEffect(intent messages.Intent, outputs json.RawMessage) {
	in := intent.Inputs
	if intent.Step == StepCreateDisk {
		out := read[messages.CreateDiskOutputs](outputs)
		disk := &messages.Disk{
			CID: out.CID, SizeMiB: out.SizeMiB, WantedMiB: in.SizeMiB,
			Properties: in.Properties, Step: intent.StepID,
		}
		if in.Role == RoleNew {
			s.NewDisk = disk
		} else {
			s.Disk = disk
		}
		return
	}
	disk := s.disk(in.DiskCID)
	if disk == nil {
		return
	}
	switch intent.Step {
	case StepAttachDisk:
		disk.AttachedTo, disk.Hint = in.VMCID, read[messages.AttachDiskOutputs](outputs).Hint
	case StepMountDisk:
		disk.Mounted = true
	case StepUnmountDisk:
		disk.Mounted = false
	case StepDetachDisk:
		disk.AttachedTo, disk.Hint, disk.Mounted = "", "", false
	case StepMigrateDisk:
		if s.NewDisk != nil && s.NewDisk.CID == in.DiskCID {
			// The content is on the new disk and verified: it is the truth now.
			s.OldDisk, s.Disk, s.NewDisk = s.Disk, s.NewDisk, nil
			s.OldDisk.Mounted = false
		}
	case StepDeleteDisk:
		s.dropDisk(in.DiskCID)
	}
}

func (s *State) disk(cid string) *messages.Disk {
	for _, d := range []*messages.Disk{s.Disk, s.NewDisk, s.OldDisk} {
		if d != nil && d.CID == cid {
			return d
		}
	}
	return nil
}

func (s *State) dropDisk(cid string) {
	for _, d := range []**messages.Disk{&s.Disk, &s.NewDisk, &s.OldDisk} {
		if *d != nil && (*d).CID == cid {
			*d = nil
		}
	}
}

func (s *State) dropStemcell(cid string) {
	if s.Stemcell != nil && s.Stemcell.CID == cid {
		s.Stemcell = nil
		return
	}
	for i, old := range s.OldStemcells {
		if old.CID == cid {
			s.OldStemcells = append(s.OldStemcells[:i:i], s.OldStemcells[i+1:]...)
			return
		}
	}
}

// read decodes outputs that this system wrote; what cannot be read is zero.
func read[T any](raw json.RawMessage) T {
	var v T
	_ = json.Unmarshal(raw, &v)
	return v
}
