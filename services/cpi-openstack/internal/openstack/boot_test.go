package openstack_test

import (
	"encoding/json"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

// A server's own volume comes and goes with it.
func TestBootFromVolume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var image messages.CreateStemcellOutputs
	w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
	args := w.vm(image.CID)
	args.CloudProperties = json.RawMessage(`{"instance_type":"m1.small","boot_from_volume":true,"root_disk":{"size":7},"scheduler_hints":{"group":"g1"}}`)
	var vm messages.CreateVMOutputs
	w.must(messages.MethodCreateVM, 1, args, &vm)
	if inv := w.cloud.Inventory(); len(inv.Servers) != 1 || len(inv.Volumes) != 1 {
		t.Errorf("the cloud holds %+v", inv)
	}
	var disk messages.CreateDiskOutputs
	w.must(messages.MethodCreateDisk, 1, w.disk(), &disk)
	var at messages.AttachDiskOutputs
	w.must(messages.MethodAttachDisk, 1, messages.DiskArgs{VMCID: vm.CID, DiskCID: disk.CID}, &at)
	if at.Hint == "/dev/sda" || at.Hint == "/dev/vda" {
		t.Errorf("the disk is attached as %s", at.Hint)
	}
	w.must(messages.MethodDetachDisk, 1, messages.DiskArgs{VMCID: vm.CID, DiskCID: disk.CID}, nil)
	w.must(messages.MethodDeleteVM, 1, messages.DeleteVMArgs{VMCID: vm.CID, Name: w.vmName, Owner: args.Tags.Step}, nil)
	if inv := w.cloud.Inventory(); len(inv.Servers) != 0 || len(inv.Volumes) != 1 || inv.Volumes[0].ID != disk.CID {
		t.Errorf("left behind: %+v", inv)
	}
}
