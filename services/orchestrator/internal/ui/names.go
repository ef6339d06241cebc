package ui

import (
	"unicode"

	"github.com/microbosh/microbosh/pkg/messages"
)

// The stages, in BOSH's words.
const (
	stageDeploy  = "Deploy Micro BOSH"
	stagePrepare = "Prepare for update"
	stageDelete  = "Delete micro BOSH"
	stageStop    = "Stop micro BOSH"
	stageStart   = "Start micro BOSH"
	stageApply   = "Apply spec"
	stageImport  = "Import micro BOSH"
	stageSweep   = "Delete what was left behind"

	groupDisk = "Updating persistent disk"
)

// place is where a step belongs in the story.
type place struct{ stage, group, task string }

// placeOf names a step as BOSH did. A step that clears the way for an update
// says why it does: that tells it from its namesake in the deploy itself.
func placeOf(verb messages.Verb, i messages.StepIntended) place {
	p := place{stage: stageDeploy, task: taskOf(verb, i)}
	switch i.Step {
	case "create_disk", "attach_disk", "mount_disk", "migrate_disk", "unmount_disk", "detach_disk", "delete_disk":
		p.group = groupDisk
	}
	switch {
	case verb == messages.VerbDelete:
		p.stage, p.group = stageDelete, ""
	case verb == messages.VerbSweep:
		p.stage, p.group = stageSweep, ""
	case verb == messages.VerbStop:
		p.stage = stageStop
	case verb == messages.VerbStart:
		p.stage = stageStart
	case verb == messages.VerbApply:
		p.stage = stageApply
	case verb == messages.VerbImport:
		p.stage = stageImport
	case i.Step == "delete_vm", i.Step == "check_vm":
		p.stage = stagePrepare
	case i.Why != "" && i.Step != messages.MethodCreateStemcell && i.Step != "open_tunnel" && i.Step != "wait_agent":
		p.stage, p.group = stagePrepare, ""
	}
	return p
}

func taskOf(verb messages.Verb, i messages.StepIntended) string {
	in := i.Inputs
	switch i.Step {
	case "check_vm":
		return "Checking the VM"
	case "create_stemcell":
		// An image that is named by its id has no name of its own.
		if in.StemcellName == "" || in.StemcellName == in.StemcellSHA1 {
			return "Using existing stemcell"
		}
		return "Uploading stemcell"
	case "create_vm":
		return "Creating VM from " + in.StemcellCID
	case "set_vm_metadata":
		return "Setting VM metadata"
	case "discover_ip":
		return "Discovering the address of the VM"
	case "open_tunnel":
		return "Opening the SSH tunnel"
	case "wait_agent":
		return "Waiting for the agent"
	case "create_disk":
		return "Create disk"
	case "attach_disk":
		return "Attach disk"
	case "mount_disk":
		return "Mount disk"
	case "migrate_disk":
		return "Migrate disk"
	case "unmount_disk":
		return "Unmount disk"
	case "detach_disk":
		return "Detach disk"
	case "delete_disk":
		if verb == messages.VerbDelete {
			return "Deleting persistent disk `" + in.DiskCID + "'"
		}
		return "Delete disk"
	case "fetch_apply_spec":
		return "Fetching apply spec"
	case "stop":
		return "Stopping agent services"
	case "render":
		return "Rendering templates"
	case "apply":
		return "Applying micro BOSH spec"
	case "start":
		return "Starting agent services"
	case "wait_director":
		return "Waiting for the director"
	case "delete_vm":
		return "Delete VM"
	case "delete_stemcell":
		return "Delete stemcell"
	case "adopt_stemcell":
		return "Adopting stemcell `" + in.StemcellCID + "'"
	case "adopt_vm":
		return "Adopting VM `" + in.VMCID + "'"
	case "adopt_disk":
		return "Adopting persistent disk `" + in.DiskCID + "'"
	case "save_fingerprints":
		return "Saving fingerprints"
	default:
		return i.Step
	}
}

// downcased gives a task as it is listed: the first letter small, unless the
// word is an abbreviation.
func downcased(task string) string {
	r := []rune(task)
	if len(r) == 0 || len(r) > 1 && unicode.IsUpper(r[0]) && unicode.IsUpper(r[1]) {
		return task
	}
	r[0] = unicode.ToLower(r[0])
	return string(r)
}
