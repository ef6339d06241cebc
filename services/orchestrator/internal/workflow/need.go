package workflow

import "github.com/microbosh/microbosh/pkg/messages"

// checked is what check_vm told of the present VM in this run.
func (s State) checked() *messages.CheckVMOutputs {
	if s.VM == nil || s.Run == nil || s.Run.CheckedVM != s.VM.CID {
		return nil
	}
	return s.Run.Check
}

func (s State) exists() bool  { c := s.checked(); return c == nil || c.Exists }
func (s State) answers() bool { c := s.checked(); return c != nil && c.Exists && c.Answers }

// replace tells whether the VM must make way for another.
func (s State) replace(r Request) bool {
	if s.VM == nil || s.Run.Done[StepCreateVM] {
		return false
	}
	if s.VM.ConfigSHA1 != r.ConfigSHA1 || s.VM.StemcellSHA1 != r.StemcellSHA1 || r.Recreate {
		return true
	}
	c := s.checked()
	return c != nil && (!c.Exists || !c.Answers)
}

func fits(d messages.Disk, r Request) bool {
	return gib(d.WantedMiB) == gib(r.DiskMiB) && d.Properties == r.DiskProperties
}

// gib rounds up as the cloud does: 4097 MiB and 5120 MiB are the same disk.
func gib(mib int) int { return (mib + 1023) / 1024 }

// needTunnel wants to meet the sshd of a VM that nobody has spoken to yet: only
// then is its host key taken as it comes.
func needTunnel(s State, r Request) bool {
	return r.Tunnel && s.VM.HostKey == "" && !s.VM.AgentSeen && !s.VM.Running && !s.Run.Done[StepOpenTunnel]
}

func vmInputs(s State) *messages.StepInputs {
	return &messages.StepInputs{VMCID: s.VM.CID, VMName: s.VM.Name, AgentID: s.VM.AgentID}
}

func onVM(need func(State, Request) bool) func(State, Request) *messages.StepInputs {
	return func(s State, r Request) *messages.StepInputs {
		if s.VM == nil || !need(s, r) {
			return nil
		}
		return vmInputs(s)
	}
}

func once(step string) func(State, Request) bool {
	return func(s State, _ Request) bool { return !s.Run.Done[doneKey(step, "")] }
}

func deleteVM(need func(State, Request) bool) func(State, Request) *messages.StepInputs {
	return func(s State, r Request) *messages.StepInputs {
		if s.VM == nil || !need(s, r) {
			return nil
		}
		in := vmInputs(s)
		in.Owner = s.VM.Step
		return in
	}
}

func needVM(s State, r Request) *messages.StepInputs {
	if s.VM != nil {
		return nil
	}
	return &messages.StepInputs{
		StemcellCID: s.Stemcell.CID, StemcellAPI: s.Stemcell.API,
		ConfigSHA1: r.ConfigSHA1, StemcellSHA1: r.StemcellSHA1,
	}
}

func needStemcell(s State, r Request) *messages.StepInputs {
	if s.Stemcell != nil && s.Stemcell.SHA1 == r.StemcellSHA1 {
		return nil
	}
	return &messages.StepInputs{
		StemcellName: r.StemcellName, Version: r.StemcellVersion, StemcellAPI: r.StemcellAPI,
		StemcellSHA1: r.StemcellSHA1,
	}
}

func diskOf(s State, role string) *messages.Disk {
	switch role {
	case RoleNew:
		return s.NewDisk
	case RoleOld:
		return s.OldDisk
	default:
		return s.Disk
	}
}

func onDisk(role string, need func(messages.Disk, State, Request) bool) func(State, Request) *messages.StepInputs {
	return func(s State, r Request) *messages.StepInputs {
		d := diskOf(s, role)
		if d == nil || !need(*d, s, r) {
			return nil
		}
		in := &messages.StepInputs{Role: role, DiskCID: d.CID, Owner: d.Step, VMCID: d.AttachedTo}
		if s.VM != nil {
			in.VMCID, in.VMName, in.AgentID = s.VM.CID, s.VM.Name, s.VM.AgentID
		}
		if role == RoleNew && s.Disk != nil {
			in.OldDiskCID = s.Disk.CID
		}
		return in
	}
}

func needDisk(role string, need func(State, Request) bool) func(State, Request) *messages.StepInputs {
	return func(s State, r Request) *messages.StepInputs {
		if r.DiskMiB == 0 || s.VM == nil || !need(s, r) {
			return nil
		}
		return &messages.StepInputs{Role: role, VMCID: s.VM.CID, SizeMiB: r.DiskMiB, Properties: r.DiskProperties}
	}
}

func notAttached(d messages.Disk, s State, _ Request) bool {
	return s.VM != nil && d.AttachedTo != s.VM.CID
}

func notMounted(d messages.Disk, s State, _ Request) bool { return s.VM != nil && !d.Mounted }

func unmountForReplace(d messages.Disk, s State, r Request) bool {
	return d.Mounted && s.replace(r) && s.answers()
}

func detachForReplace(d messages.Disk, s State, r Request) bool {
	return d.AttachedTo != "" && s.replace(r) && s.exists()
}

func oldStemcell(s State, _ Request) *messages.StepInputs {
	if len(s.OldStemcells) == 0 {
		return nil
	}
	return stemcellInputs(s.OldStemcells[0], RoleOld)
}

func currentStemcell(s State, _ Request) *messages.StepInputs {
	if s.Stemcell == nil {
		return nil
	}
	return stemcellInputs(*s.Stemcell, RoleCurrent)
}

func stemcellInputs(sc messages.Stemcell, role string) *messages.StepInputs {
	in := &messages.StepInputs{Role: role, StemcellCID: sc.CID, StemcellName: sc.Name}
	if sc.Uploaded {
		in.Owner = sc.Step
	}
	return in
}

func fingerprints(s State, r Request) *messages.StepInputs {
	if s.Run.Done[StepSaveFingerprints] {
		return nil
	}
	return &messages.StepInputs{ConfigSHA1: r.ConfigSHA1, StemcellSHA1: r.StemcellSHA1}
}
