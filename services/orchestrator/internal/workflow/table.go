package workflow

import (
	"slices"

	"github.com/microbosh/microbosh/pkg/messages"
)

// The steps, in BOSH's words.
const (
	StepCheckVM          = "check_vm"
	StepCreateStemcell   = "create_stemcell"
	StepCreateVM         = "create_vm"
	StepSetVMMetadata    = "set_vm_metadata"
	StepDiscoverIP       = "discover_ip"
	StepOpenTunnel       = "open_tunnel"
	StepWaitAgent        = "wait_agent"
	StepCreateDisk       = "create_disk"
	StepAttachDisk       = "attach_disk"
	StepMountDisk        = "mount_disk"
	StepMigrateDisk      = "migrate_disk"
	StepUnmountDisk      = "unmount_disk"
	StepDetachDisk       = "detach_disk"
	StepDeleteDisk       = "delete_disk"
	StepFetchApplySpec   = "fetch_apply_spec"
	StepStop             = "stop"
	StepRender           = "render"
	StepApply            = "apply"
	StepStart            = "start"
	StepWaitDirector     = "wait_director"
	StepDeleteVM         = "delete_vm"
	StepDeleteStemcell   = "delete_stemcell"
	StepSaveFingerprints = "save_fingerprints"
	StepAdoptStemcell    = "adopt_stemcell"
	StepAdoptVM          = "adopt_vm"
	StepAdoptDisk        = "adopt_disk"
	StepDeletePort       = "delete_port"
)

// Roles tell disks and stemcells of one deployment apart.
const (
	RoleCurrent = "current"
	RoleNew     = "new"
	RoleOld     = "old"
)

// Row is a step in its place: Need returns what to do, nil when the state
// already is as the step would leave it.
type Row struct {
	Step string
	Need func(State, Request) *messages.StepInputs
}

// Table is what a verb does, in order.
func Table(verb messages.Verb) []Row {
	switch verb {
	case messages.VerbDelete:
		return deleteTable()
	case messages.VerbSweep:
		return sweepTable()
	case messages.VerbStop:
		return jobsTable(Row{StepStop, onVM(once(StepStop))})
	case messages.VerbStart:
		return jobsTable(Row{StepStart, onVM(once(StepStart))}, Row{StepWaitDirector, onVM(once(StepWaitDirector))})
	case messages.VerbApply:
		return jobsTable(applyTable()...)
	case messages.VerbImport:
		return importTable()
	default:
		// A create that failed half-way is resumed by the next one, which first
		// clears away what was made from another manifest or stemcell.
		return append(prepareTable(), createTable()...)
	}
}

func createTable() []Row {
	return slices.Concat(machineTable(), applyTable(), []Row{
		{StepDeleteStemcell, oldStemcell},
		{StepSaveFingerprints, fingerprints},
	})
}

// machineTable makes the VM and its disk.
func machineTable() []Row {
	return []Row{
		{StepCreateVM, needVM},
		{StepSetVMMetadata, onVM(func(s State, _ Request) bool { return !s.VM.MetadataSet })},
		{StepDiscoverIP, onVM(func(s State, _ Request) bool { return s.VM.IP == "" })},
		{StepOpenTunnel, onVM(needTunnel)},
		{StepWaitAgent, onVM(once(StepWaitAgent))},

		// The source of a finished migration goes before another one can begin.
		{StepDetachDisk, onDisk(RoleOld, func(d messages.Disk, _ State, _ Request) bool { return d.AttachedTo != "" })},
		{StepDeleteDisk, onDisk(RoleOld, func(messages.Disk, State, Request) bool { return true })},

		// A new disk that a failed migration left and that is not wanted any more.
		{StepUnmountDisk, onDisk(RoleNew, func(d messages.Disk, _ State, r Request) bool { return d.Mounted && !fits(d, r) })},
		{StepDetachDisk, onDisk(RoleNew, func(d messages.Disk, _ State, r Request) bool { return d.AttachedTo != "" && !fits(d, r) })},
		{StepDeleteDisk, onDisk(RoleNew, func(d messages.Disk, _ State, r Request) bool { return !fits(d, r) })},

		{StepCreateDisk, needDisk(RoleCurrent, func(s State, r Request) bool { return s.Disk == nil })},
		{StepAttachDisk, onDisk(RoleCurrent, notAttached)},
		{StepMountDisk, onDisk(RoleCurrent, notMounted)},

		{StepCreateDisk, needDisk(RoleNew, func(s State, r Request) bool { return s.NewDisk == nil && s.Disk != nil && !fits(*s.Disk, r) })},
		{StepAttachDisk, onDisk(RoleNew, notAttached)},
		{StepMountDisk, onDisk(RoleNew, notMounted)},
		{StepMigrateDisk, onDisk(RoleNew, func(messages.Disk, State, Request) bool { return true })},

		{StepFetchApplySpec, onVM(func(s State, r Request) bool { return r.FetchSpec && !s.Run.Done[StepFetchApplySpec] })},
	}
}

// applyTable makes the jobs what the apply spec says.
func applyTable() []Row {
	return []Row{
		{StepStop, onVM(once(StepStop))},
		{StepRender, onVM(once(StepRender))},
		{StepApply, onVM(once(StepApply))},
		{StepStart, onVM(once(StepStart))},
		{StepWaitDirector, onVM(once(StepWaitDirector))},
	}
}

// prepareTable clears the way: the new image is there before the old VM goes,
// so that a refused upload costs no downtime.
func prepareTable() []Row {
	return []Row{
		{StepCheckVM, onVM(func(s State, _ Request) bool { return s.checked() == nil && !s.Run.Done[StepCreateVM] })},
		{StepCreateStemcell, needStemcell},
		{StepStop, onVM(func(s State, r Request) bool {
			return s.replace(r) && s.answers() && !s.Run.Done[StepStop]
		})},
		{StepUnmountDisk, onDisk(RoleNew, unmountForReplace)},
		{StepUnmountDisk, onDisk(RoleCurrent, unmountForReplace)},
		{StepDetachDisk, onDisk(RoleOld, detachForReplace)},
		{StepDetachDisk, onDisk(RoleNew, detachForReplace)},
		{StepDetachDisk, onDisk(RoleCurrent, detachForReplace)},
		{StepDeleteVM, deleteVM(func(s State, r Request) bool { return s.replace(r) })},
	}
}

// jobsTable does something to the jobs of a VM that stays.
func jobsTable(rows ...Row) []Row {
	return append([]Row{{StepCheckVM, onVM(func(s State, _ Request) bool { return s.checked() == nil })}}, rows...)
}

func deleteTable() []Row {
	always := func(messages.Disk, State, Request) bool { return true }
	unmount := func(d messages.Disk, s State, _ Request) bool { return d.Mounted && s.answers() }
	detach := func(d messages.Disk, s State, _ Request) bool { return d.AttachedTo != "" && s.exists() }
	return []Row{
		{StepCheckVM, onVM(func(s State, _ Request) bool { return s.checked() == nil })},
		{StepStop, onVM(func(s State, _ Request) bool { return s.answers() && !s.Run.Done[StepStop] })},
		{StepUnmountDisk, onDisk(RoleNew, unmount)},
		{StepUnmountDisk, onDisk(RoleCurrent, unmount)},
		{StepDetachDisk, onDisk(RoleOld, detach)},
		{StepDetachDisk, onDisk(RoleNew, detach)},
		{StepDetachDisk, onDisk(RoleCurrent, detach)},
		{StepDeleteVM, deleteVM(func(s State, _ Request) bool { return !s.exists() })},
		{StepDeleteDisk, onDisk(RoleOld, always)},
		{StepDeleteDisk, onDisk(RoleNew, always)},
		{StepDeleteDisk, onDisk(RoleCurrent, always)},
		{StepDeleteVM, deleteVM(func(State, Request) bool { return true })},
		{StepDeleteStemcell, oldStemcell},
		{StepDeleteStemcell, currentStemcell},
	}
}
