package openstack_test

import (
	"strings"
	"testing"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/pkg/messages"
)

// What changes something that exists is simply done again.
func TestChangesSurvive(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]devcloud.Fault{
		"dropped after the effect": {Mode: devcloud.ModeDrop, Count: 1},
		"503 after the effect":     {Mode: devcloud.ModeLate503, Count: 1},
		"half an answer":           {Mode: devcloud.ModeTruncate, Count: 1},
		"twice":                    {Mode: devcloud.ModeDuplicate, Count: 1},
		"cut before the effect":    {Mode: devcloud.ModeCut, Count: 1},
		"too many requests":        {Mode: devcloud.ModeFail, Count: 1, Status: 429},
		"tokens expire":            {Mode: devcloud.ModeExpire, Count: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var image messages.CreateStemcellOutputs
			var vm messages.CreateVMOutputs
			var disk messages.CreateDiskOutputs
			w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
			w.must(messages.MethodCreateVM, 1, w.vm(image.CID), &vm)
			w.must(messages.MethodCreateDisk, 1, w.disk(), &disk)
			met := func(method, path string) {
				t.Helper()
				fault.Method, fault.Path = method, path
				w.faults(fault)
			}
			both := messages.DiskArgs{VMCID: vm.CID, DiskCID: disk.CID, VMName: w.vmName}
			met("POST", "/os-volume_attachments$")
			w.must(messages.MethodAttachDisk, 1, both, nil)
			met("POST", "/metadata$")
			w.must(messages.MethodSetVMMetadata, 1, messages.SetVMMetadataArgs{VMCID: vm.CID, Metadata: map[string]string{"job": "bosh"}}, nil)
			met("GET", "/servers/")
			w.must(messages.MethodDiscoverIP, 1, messages.VMArgs{VMCID: vm.CID}, nil)
			met("DELETE", "/os-volume_attachments/")
			w.must(messages.MethodDetachDisk, 1, both, nil)
			met("DELETE", "/volumes/")
			w.must(messages.MethodDeleteDisk, 1, messages.DeleteDiskArgs{DiskCID: disk.CID, Owner: w.disk().Tags.Step}, nil)
			met("DELETE", "/servers/")
			w.must(messages.MethodDeleteVM, 1, messages.DeleteVMArgs{VMCID: vm.CID, Name: w.vmName, Owner: w.vm("").Tags.Step}, nil)
			met("DELETE", "/images/")
			w.must(messages.MethodDeleteStemcell, 1, messages.DeleteStemcellArgs{CID: image.CID, Owner: tags(messages.MethodCreateStemcell, 1).Step}, nil)
			if inv := w.cloud.Inventory(); !inv.Empty() {
				t.Errorf("left behind: %+v", inv)
			}
		})
	}
}

// A cloud from before tags gets its server without.
func TestCloudWithoutTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var image messages.CreateStemcellOutputs
	w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
	w.faults(devcloud.Fault{Mode: devcloud.ModeFail, Method: "POST", Path: "/servers$", Status: 406, Count: 1})
	w.must(messages.MethodCreateVM, 1, w.vm(image.CID), nil)
	if inv := w.cloud.Inventory(); len(inv.Servers) != 1 || len(inv.Servers[0].Tags) != 0 {
		t.Errorf("the cloud holds %+v", inv.Servers)
	}
}

// One login serves all steps with the same properties.
func TestOneLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var disk messages.CreateDiskOutputs
	w.must(messages.MethodCreateDisk, 1, w.disk(), &disk)
	w.must(messages.MethodDeleteDisk, 1, messages.DeleteDiskArgs{DiskCID: disk.CID, Owner: w.disk().Tags.Step}, nil)
	w.hasVM("none", false)
	logins := 0
	for _, call := range w.cloud.Calls() {
		if call.Method == "POST" && strings.HasSuffix(call.Path, "/auth/tokens") {
			logins++
		}
	}
	if logins != 1 {
		t.Errorf("%d logins, want 1", logins)
	}
}

// An image id is burnt with its image: the step fails, the next has another.
func TestBurntImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	args := w.stemcell()
	var image messages.CreateStemcellOutputs
	w.must(messages.MethodCreateStemcell, 1, args, &image)
	w.must(messages.MethodDeleteStemcell, 1, messages.DeleteStemcellArgs{CID: image.CID, Owner: args.Tags.Step}, nil)
	w.forget(messages.MethodCreateStemcell, 1)
	if r := w.do(messages.MethodCreateStemcell, 1, args); r.Status != messages.ResultFailed || r.Error.Code != messages.CodeCloudConflict {
		t.Errorf("result is %+v (%v)", r, r.Error)
	}
	args.Tags = tags(messages.MethodCreateStemcell, 2)
	w.must(messages.MethodCreateStemcell, 2, args, &image)
}

// An image that the cloud has is used as it is, and never deleted.
func TestExistingImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var image, light messages.CreateStemcellOutputs
	w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
	args := messages.CreateStemcellArgs{Stemcell: messages.StemcellRef{CID: image.CID}, Tags: tags(messages.MethodCreateStemcell, 2)}
	w.must(messages.MethodCreateStemcell, 2, args, &light)
	if light.CID != image.CID || light.Uploaded {
		t.Errorf("outputs are %+v", light)
	}
	args = messages.CreateStemcellArgs{Stemcell: messages.StemcellRef{CID: "00000000-0000-4000-8000-000000000000"}, Tags: tags(messages.MethodCreateStemcell, 3)}
	if r := w.do(messages.MethodCreateStemcell, 3, args); r.Status != messages.ResultFailed || r.Error.Code != messages.CodeCloudNotFound {
		t.Errorf("result is %+v (%v)", r, r.Error)
	}
}
