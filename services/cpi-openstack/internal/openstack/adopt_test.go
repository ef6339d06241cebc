package openstack_test

import (
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

// What is adopted belongs to the adopting step: the maker cannot delete it any
// more, the new owner can, ports and all.
func TestAdopt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var image messages.CreateStemcellOutputs
	w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
	manual := w.manual(image.CID, "127.20.0.77")
	var vm messages.CreateVMOutputs
	w.must(messages.MethodCreateVM, 1, manual, &vm)
	var disk messages.CreateDiskOutputs
	w.must(messages.MethodCreateDisk, 1, w.disk(), &disk)
	w.must(messages.MethodAttachDisk, 1, messages.DiskArgs{VMCID: vm.CID, DiskCID: disk.CID, VMName: w.vmName}, nil)

	adopt := func(n int, kind, cid string) (out messages.AdoptOutputs) {
		t.Helper()
		w.must(messages.MethodAdopt, n, messages.AdoptArgs{Kind: kind, CID: cid, Tags: tags(messages.MethodAdopt, n)}, &out)
		return out
	}
	if got := adopt(1, messages.KindVM, vm.CID); !got.Exists || got.Name != w.vmName || got.IP != "127.20.0.77" || got.ServiceIP != got.IP {
		t.Errorf("the adopted VM is %+v", got)
	}
	if got := adopt(2, messages.KindDisk, disk.CID); !got.Exists || got.SizeMiB != 2048 || got.AttachedTo != vm.CID || got.Hint == "" {
		t.Errorf("the adopted disk is %+v", got)
	}
	if got := adopt(3, messages.KindStemcell, image.CID); !got.Exists {
		t.Errorf("the adopted stemcell is %+v", got)
	}
	for n, kind := range []string{messages.KindVM, messages.KindDisk, messages.KindStemcell} {
		if got := adopt(10+n, kind, "8f8ae4a7-0d4c-4f6a-9b8e-000000000000"); got.Exists {
			t.Errorf("a %s that is not there is %+v", kind, got)
		}
	}

	// Nobody takes what bears another deployment's tags, unless he names it.
	other := messages.AdoptArgs{Kind: messages.KindDisk, CID: disk.CID, Tags: tags(messages.MethodAdopt, 20)}
	other.Tags.UID = "somebodyelse"
	if r := w.do(messages.MethodAdopt, 20, other); r.Status != messages.ResultFailed || r.Error.Code != messages.CodeCloudForeign {
		t.Errorf("another deployment's disk was adopted: %+v", r)
	}
	for n, args := range []messages.AdoptArgs{
		{Kind: "network", CID: "x", Tags: tags(messages.MethodAdopt, 30)},
		{Kind: messages.KindVM, Tags: tags(messages.MethodAdopt, 31)},
		{Kind: messages.KindVM, CID: vm.CID, Tags: tags(messages.MethodAdopt, 1)},
	} {
		if r := w.do(messages.MethodAdopt, 30+n, args); r.Status != messages.ResultFailed || r.Error.Code != messages.CodeMalformed {
			t.Errorf("adopt of %+v is %+v", args, r)
		}
	}

	w.owners(image.CID, vm.CID, disk.CID)
	if r := w.do(messages.MethodDeleteVM, 40, messages.DeleteVMArgs{VMCID: vm.CID, Owner: manual.Tags.Step}); r.Status != messages.ResultFailed {
		t.Errorf("the maker of an adopted VM deleted it: %+v", r)
	}
	owner := func(n int) string { return messages.StepID(uid, messages.MethodAdopt, n) }
	w.must(messages.MethodDetachDisk, 1, messages.DiskArgs{VMCID: vm.CID, DiskCID: disk.CID, VMName: w.vmName}, nil)
	w.must(messages.MethodDeleteVM, 1, messages.DeleteVMArgs{VMCID: vm.CID, Name: w.vmName, Owner: owner(1)}, nil)
	w.must(messages.MethodDeleteDisk, 1, messages.DeleteDiskArgs{DiskCID: disk.CID, Owner: owner(2)}, nil)
	w.must(messages.MethodDeleteStemcell, 1, messages.DeleteStemcellArgs{CID: image.CID, Owner: owner(3)}, nil)
	if left := w.cloud.Inventory(); !left.Empty() {
		t.Errorf("left behind: %+v", left)
	}
}
