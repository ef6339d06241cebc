package openstack_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/pkg/messages"
)

// TestRegressionBosh2625EmptyIDDeletesNothing: bosh#2625, where an empty record
// ("stemcells": [{}]) led to the deletion of every VM there was. An id that is
// empty, or that could mean more than one thing, destroys nothing.
func TestRegressionBosh2625EmptyIDDeletesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var image messages.CreateStemcellOutputs
	w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
	var vm messages.CreateVMOutputs
	w.must(messages.MethodCreateVM, 1, w.vm(image.CID), &vm)
	var disk messages.CreateDiskOutputs
	w.must(messages.MethodCreateDisk, 1, w.disk(), &disk)
	before := w.cloud.Inventory()
	owner := func(method string) string { return messages.StepID(uid, method, 1) }
	n := 0
	for _, id := range []string{"", " ", "*", ".", "%", "../servers"} {
		for method, args := range map[string][]any{
			messages.MethodDeleteVM: {
				messages.DeleteVMArgs{VMCID: id, Owner: owner(messages.MethodCreateVM)}, messages.DeleteVMArgs{VMCID: vm.CID, Owner: id},
			},
			messages.MethodDeleteDisk: {
				messages.DeleteDiskArgs{DiskCID: id, Owner: owner(messages.MethodCreateDisk)}, messages.DeleteDiskArgs{DiskCID: disk.CID, Owner: id},
			},
			messages.MethodDeleteStemcell: {
				messages.DeleteStemcellArgs{CID: id, Owner: owner(messages.MethodCreateStemcell)}, messages.DeleteStemcellArgs{CID: image.CID, Owner: id},
			},
			messages.MethodDeleteSnapshot: {messages.DeleteSnapshotArgs{CID: id, Owner: owner(messages.MethodSnapshotDisk)}},
			messages.MethodDeletePort:     {messages.DeletePortArgs{PortCID: id, Owner: owner(messages.MethodCreateVM)}},
			messages.MethodDetachDisk:     {messages.DiskArgs{VMCID: vm.CID, DiskCID: id}, messages.DiskArgs{VMCID: id, DiskCID: disk.CID}},
			messages.MethodRebootVM:       {messages.VMArgs{VMCID: id}},
		} {
			for _, a := range args {
				n++
				if r := w.do(method, 100+n, a); r.Status != messages.ResultFailed || r.Error == nil || r.Error.Code != messages.CodeMalformed {
					t.Errorf("%s of %+v is %s: %v", method, a, r.Status, r.Error)
				}
			}
		}
	}
	if diff := cmp.Diff(before, w.cloud.Inventory()); diff != "" {
		t.Errorf("the cloud has changed:\n%s", diff)
	}
}

// TestRegressionGarm79ErrorIsNoProofOfAbsence: garm#79, where OpenStack answered
// 503 and yet made the server, and each retry made another. An error in answer
// to a create is no proof that nothing was made, however often it comes and
// however late the server shows.
func TestRegressionGarm79ErrorIsNoProofOfAbsence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		faults []devcloud.Fault
	}{
		{"503", []devcloud.Fault{{Mode: devcloud.ModeLate503, Count: 1}}},
		{"500", []devcloud.Fault{{Mode: devcloud.ModeLate503, Status: 500, Count: 1}}},
		{"every answer 503", []devcloud.Fault{{Mode: devcloud.ModeLate503}}},
		{"503, and hidden", []devcloud.Fault{{Mode: devcloud.ModeLate503, Count: 1}, {Mode: devcloud.ModeHide, Lists: 2, Count: 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var image messages.CreateStemcellOutputs
			w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
			for i := range c.faults {
				c.faults[i].Method, c.faults[i].Path = "POST", "/servers$"
			}
			w.faults(c.faults...)
			r := w.do(messages.MethodCreateVM, 1, w.vm(image.CID))
			if inv := w.cloud.Inventory(); r.Status != messages.ResultDone || len(inv.Servers) != 1 || inv.Servers[0].ID != r.CID {
				t.Errorf("result is %s %s (%v); the cloud holds %s", r.Status, r.CID, r.Error, fmt.Sprint(inv.Servers))
			}
		})
	}
}
