package executable

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
)

// director stands for the owner in what a Director asks: it is not checked.
const director = "director"

// arguments reads a call's arguments by their places.
type arguments struct {
	method string
	list   []json.RawMessage
	err    error
}

func (a *arguments) fail(i int, want string) {
	if a.err == nil {
		a.err = fault{cpiError, fmt.Sprintf("argument %d of %s must be %s", i+1, a.method, want), false}
	}
}

func (a *arguments) raw(i int) json.RawMessage {
	if i >= len(a.list) || string(a.list[i]) == "null" {
		return nil
	}
	return a.list[i]
}

func (a *arguments) text(i int) string {
	var s string
	if json.Unmarshal(a.raw(i), &s) != nil || s == "" {
		a.fail(i, "a string")
	}
	return s
}

func (a *arguments) number(i int) int {
	var n int
	if json.Unmarshal(a.raw(i), &n) != nil {
		a.fail(i, "an integer")
	}
	return n
}

func (a *arguments) into(i int, want string, v any) {
	if raw := a.raw(i); raw != nil && json.Unmarshal(raw, v) != nil {
		a.fail(i, want)
	}
}

// words are a Hash whose values may be anything scalar.
func (a *arguments) words(i int) map[string]string {
	var any map[string]any
	a.into(i, "a Hash", &any)
	out := map[string]string{}
	for key, value := range any {
		switch value := value.(type) {
		case nil:
		case string:
			out[key] = value
		default:
			text, err := json.Marshal(value)
			if err == nil {
				out[key] = string(text)
			}
		}
	}
	return out
}

// command translates a call that changes the world; nil says that it is none.
func command(a *arguments, tags messages.Tags) any {
	switch a.method {
	case messages.MethodCreateStemcell:
		ref := messages.StemcellRef{Path: a.text(0), Host: daemon.HostID(), CloudProperties: a.raw(1)}
		return messages.CreateStemcellArgs{Stemcell: ref, Tags: tags}
	case messages.MethodDeleteStemcell:
		return messages.DeleteStemcellArgs{CID: a.text(0), Owner: director}
	case messages.MethodCreateVM:
		return createVM(a, tags)
	case messages.MethodDeleteVM:
		return messages.DeleteVMArgs{VMCID: a.text(0), Owner: director}
	case messages.MethodRebootVM:
		return messages.VMArgs{VMCID: a.text(0)}
	case messages.MethodSetVMMetadata:
		return messages.SetVMMetadataArgs{VMCID: a.text(0), Metadata: a.words(1)}
	case messages.MethodSetDiskMetadata:
		return messages.SetDiskMetadataArgs{DiskCID: a.text(0), Metadata: a.words(1)}
	case messages.MethodCreateDisk:
		args := messages.CreateDiskArgs{SizeMiB: a.number(0), CloudProperties: a.raw(1), Tags: tags}
		a.into(2, "a string", &args.VMCID)
		return args
	case messages.MethodDeleteDisk:
		return messages.DeleteDiskArgs{DiskCID: a.text(0), Owner: director}
	case messages.MethodAttachDisk, messages.MethodDetachDisk:
		return messages.DiskArgs{VMCID: a.text(0), DiskCID: a.text(1)}
	case messages.MethodResizeDisk:
		return messages.ResizeDiskArgs{DiskCID: a.text(0), SizeMiB: a.number(1)}
	case messages.MethodUpdateDisk:
		return messages.UpdateDiskArgs{DiskCID: a.text(0), SizeMiB: a.number(1), CloudProperties: a.raw(2)}
	case messages.MethodSnapshotDisk:
		return messages.SnapshotDiskArgs{DiskCID: a.text(0), Metadata: a.words(1), Tags: tags}
	case messages.MethodDeleteSnapshot:
		return messages.DeleteSnapshotArgs{CID: a.text(0), Owner: director}
	}
	return nil
}

func createVM(a *arguments, tags messages.Tags) any {
	args := messages.CreateVMArgs{
		AgentID: a.text(0), Name: "vm-" + uuid.NewString(), StemcellCID: a.text(1), CloudProperties: a.raw(2), Tags: tags,
	}
	a.into(3, "a Hash of networks", &args.Networks)
	a.into(4, "an Array of disk CIDs", &args.DiskCIDs)
	return args
}

// question translates a call that only reads; nil says that it is none.
func question(a *arguments) any {
	switch a.method {
	case messages.SvcHasVM, messages.SvcGetDisks:
		return messages.VMArgs{VMCID: a.text(0)}
	case messages.SvcHasDisk:
		return messages.DiskOnlyArgs{DiskCID: a.text(0)}
	case messages.SvcConsole: // this and the next two are ours
		return messages.VMArgs{VMCID: a.text(0)}
	case messages.SvcFind:
		var args messages.FindArgs
		a.into(0, "a Hash of uid or step", &args)
		return args
	case messages.SvcPreflight:
		var args messages.PreflightArgs
		a.into(0, "a Hash of cloud_properties, networks, stemcell_cid and disk_mib", &args)
		return args
	case messages.SvcCalculate:
		var args messages.CalculateArgs
		a.into(0, "a Hash of cpu, ram and ephemeral_disk_size", &args)
		return args
	}
	return nil
}
