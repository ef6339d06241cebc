package conformance_test

import (
	"slices"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
)

// refuseIDs names nothing, or what is somebody else's, in every call that
// changes something. All of it must still be there afterwards.
func (l *life) refuseIDs() {
	l.t.Helper()
	const other = "nobody123-create_disk-1"
	for _, c := range []struct {
		method string
		args   any
		want   messages.Code
		says   string
	}{
		{messages.MethodDeleteVM, messages.DeleteVMArgs{Owner: l.vmStep}, messages.CodeMalformed, "VM"},
		{messages.MethodDeleteVM, messages.DeleteVMArgs{VMCID: l.vm}, messages.CodeMalformed, "owner"},
		{messages.MethodDeleteVM, messages.DeleteVMArgs{VMCID: "../images", Owner: l.vmStep}, messages.CodeMalformed, "VM"},
		{messages.MethodDeleteVM, messages.DeleteVMArgs{VMCID: l.vm, Owner: other}, messages.CodeCloudForeign, l.vm},
		{messages.MethodDeleteStemcell, messages.DeleteStemcellArgs{Owner: l.imageStep}, messages.CodeMalformed, "stemcell"},
		{messages.MethodDeleteStemcell, messages.DeleteStemcellArgs{CID: l.image}, messages.CodeMalformed, "owner"},
		{messages.MethodDeleteStemcell, messages.DeleteStemcellArgs{CID: l.image, Owner: other}, messages.CodeCloudForeign, l.image},
		{messages.MethodDeleteDisk, messages.DeleteDiskArgs{Owner: l.diskStep}, messages.CodeMalformed, "disk"},
		{messages.MethodDeleteDisk, messages.DeleteDiskArgs{DiskCID: l.disk}, messages.CodeMalformed, "owner"},
		{messages.MethodDeleteDisk, messages.DeleteDiskArgs{DiskCID: l.disk, Owner: other}, messages.CodeCloudForeign, l.disk},
		{messages.MethodDeleteSnapshot, messages.DeleteSnapshotArgs{Owner: l.shotStep}, messages.CodeMalformed, "snapshot"},
		{messages.MethodDeleteSnapshot, messages.DeleteSnapshotArgs{CID: l.snapshot}, messages.CodeMalformed, "owner"},
		{messages.MethodDeleteSnapshot, messages.DeleteSnapshotArgs{CID: l.snapshot, Owner: other}, messages.CodeCloudForeign, l.snapshot},
		{messages.MethodRebootVM, messages.VMArgs{}, messages.CodeMalformed, "VM"},
		{messages.MethodSetVMMetadata, messages.SetVMMetadataArgs{Metadata: map[string]string{"a": "b"}}, messages.CodeMalformed, "VM"},
		{messages.MethodDiscoverIP, messages.VMArgs{}, messages.CodeMalformed, "VM"},
		{messages.MethodAttachDisk, messages.DiskArgs{DiskCID: l.disk}, messages.CodeMalformed, "VM"},
		{messages.MethodAttachDisk, messages.DiskArgs{VMCID: l.vm}, messages.CodeMalformed, "disk"},
		{messages.MethodDetachDisk, messages.DiskArgs{DiskCID: l.disk}, messages.CodeMalformed, "VM"},
		{messages.MethodDetachDisk, messages.DiskArgs{VMCID: l.vm}, messages.CodeMalformed, "disk"},
		{messages.MethodSetDiskMetadata, messages.SetDiskMetadataArgs{Metadata: map[string]string{"a": "b"}}, messages.CodeMalformed, "disk"},
		{messages.MethodResizeDisk, messages.ResizeDiskArgs{SizeMiB: 2048}, messages.CodeMalformed, "disk"},
		{messages.MethodResizeDisk, messages.ResizeDiskArgs{DiskCID: l.disk, SizeMiB: -5}, messages.CodeManifestInvalid, "1 GiB"},
		{messages.MethodUpdateDisk, messages.UpdateDiskArgs{SizeMiB: 2048}, messages.CodeMalformed, "disk"},
		{messages.MethodSnapshotDisk, func(id string) any { return messages.SnapshotDiskArgs{Tags: l.tags(id)} }, messages.CodeMalformed, "disk"},
		{messages.MethodDeleteVM, "a string", messages.CodeMalformed, messages.MethodDeleteVM},
	} {
		if said := l.refuse(c.want, c.method, c.args); !strings.Contains(said.Message, c.says) {
			l.t.Errorf("%s %+v: %q does not name %q", c.method, c.args, said.Message, c.says)
		}
	}
	for _, method := range []string{messages.SvcHasVM, messages.SvcGetDisks, messages.SvcConsole, messages.SvcHasDisk, messages.SvcFind} {
		if err := l.ask(method, map[string]string{}, new(any)); messages.CodeOf(err) != messages.CodeMalformed {
			l.t.Errorf("%s of nothing: %v", method, err)
		}
	}
	if have := count(l.admin.of(l.uid)); have != "1 server, 1 volume, 1 snapshot, 1 image, 1 port" {
		l.t.Errorf("the cloud holds %q", have)
	}
}

// liveOne does one kind of step of a life.
func (l *life) liveOne(method string) {
	l.t.Helper()
	steps := lifeSteps()
	l.live(steps[slices.IndexFunc(steps, func(s step) bool { return s.method == method })])
}
