package openstack_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/openstack"
)

// TestLife is a VM's, from its image to the last trace of it.
func TestLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var image messages.CreateStemcellOutputs
	w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
	if !image.Uploaded {
		t.Error("the image was not uploaded")
	}
	var vm messages.CreateVMOutputs
	w.must(messages.MethodCreateVM, 1, w.vm(image.CID), &vm)
	settings, put, err := w.registry.read(w.vmName)
	if err != nil {
		t.Fatal(err)
	}
	var s messages.Settings
	if err := json.Unmarshal(settings, &s); err != nil {
		t.Fatal(err)
	}
	if s.AgentID != "bm-1" || s.VM.Name != w.vmName || !strings.Contains(s.Mbus, "marker") || s.NTP[0] != "192.0.2.123" || s.Networks["bosh"].Type != "dynamic" {
		t.Errorf("the registry holds %+v", s)
	}
	if len(put.Addresses) != 1 {
		t.Errorf("the registry knows the addresses %v, want the server's", put.Addresses)
	}
	var ip messages.DiscoverIPOutputs
	w.must(messages.MethodDiscoverIP, 1, messages.VMArgs{VMCID: vm.CID}, &ip)
	if !slices.Equal(put.Addresses, []string{ip.ServiceIP}) || ip.IP != ip.ServiceIP {
		t.Errorf("discovered %+v, the registry has %v", ip, put.Addresses)
	}
	w.must(messages.MethodSetVMMetadata, 1, messages.SetVMMetadataArgs{VMCID: vm.CID, Metadata: map[string]string{"job": "bosh", "long": strings.Repeat("x", 300)}}, nil)
	w.hasVM(vm.CID, true)

	var disk messages.CreateDiskOutputs
	w.must(messages.MethodCreateDisk, 1, w.disk(), &disk)
	if disk.SizeMiB != 2048 {
		t.Errorf("1500 MiB became %d", disk.SizeMiB)
	}
	attach := messages.DiskArgs{VMCID: vm.CID, DiskCID: disk.CID, VMName: w.vmName}
	var first, again messages.AttachDiskOutputs
	w.must(messages.MethodAttachDisk, 1, attach, &first)
	w.must(messages.MethodAttachDisk, 2, attach, &again)
	if first != again || !strings.HasPrefix(first.Hint, "/dev/") {
		t.Errorf("attached as %q, then %q", first.Hint, again.Hint)
	}
	if settings, put, _ = w.registry.read(w.vmName); !strings.Contains(string(settings), `"`+disk.CID+`":"`+first.Hint+`"`) || len(put.Addresses) != 1 {
		t.Errorf("the registry holds %s for %v", settings, put.Addresses)
	}
	if r := w.do(messages.MethodDeleteDisk, 1, messages.DeleteDiskArgs{DiskCID: disk.CID, Owner: w.disk().Tags.Step}); r.Status != messages.ResultFailed || r.Error.Code != messages.CodeCloudConflict {
		t.Errorf("an attached disk was deleted: %+v", r)
	}
	for n := range 2 {
		w.must(messages.MethodDetachDisk, n+1, attach, nil)
	}
	if settings, _, _ = w.registry.read(w.vmName); strings.Contains(string(settings), disk.CID) {
		t.Errorf("the registry still holds the disk")
	}
	w.owners(image.CID, vm.CID, disk.CID)

	for n := range 2 {
		w.must(messages.MethodDeleteVM, n+2, messages.DeleteVMArgs{VMCID: vm.CID, Name: w.vmName, Owner: w.vm("").Tags.Step}, nil)
		w.must(messages.MethodDeleteDisk, n+3, messages.DeleteDiskArgs{DiskCID: disk.CID, Owner: w.disk().Tags.Step}, nil)
		w.must(messages.MethodDeleteStemcell, n+2, messages.DeleteStemcellArgs{CID: image.CID, Owner: tags(messages.MethodCreateStemcell, 1).Step}, nil)
	}
	w.hasVM(vm.CID, false)
	if left := w.cloud.Inventory(); !left.Empty() {
		t.Errorf("left behind: %+v", left)
	}
	if _, _, err := w.registry.read(w.vmName); messages.CodeOf(err) != messages.CodeSettingsNotFound {
		t.Errorf("the settings are left behind: %v", err)
	}
	w.noSecret()
}

// owners checks that nothing is deleted under another owner's name.
func (w *world) owners(image, vm, disk string) {
	w.t.Helper()
	for method, args := range map[string]any{
		messages.MethodDeleteVM:       messages.DeleteVMArgs{VMCID: vm, Name: w.vmName, Owner: "somebody-create_vm-1"},
		messages.MethodDeleteDisk:     messages.DeleteDiskArgs{DiskCID: disk, Owner: "somebody-create_disk-1"},
		messages.MethodDeleteStemcell: messages.DeleteStemcellArgs{CID: image, Owner: "somebody-create_stemcell-1"},
	} {
		r := w.do(method, 9, args)
		if r.Status != messages.ResultFailed || r.Error.Code != messages.CodeCloudForeign {
			w.t.Errorf("%s with another owner is %+v", method, r)
		}
	}
	if inv := w.cloud.Inventory(); len(inv.Servers) != 1 || len(inv.Volumes) != 1 || len(inv.Images) != 1 {
		w.t.Errorf("something foreign was deleted: %+v", inv)
	}
}

func (w *world) hasVM(cid string, want bool) {
	w.t.Helper()
	args, err := json.Marshal(messages.VMArgs{VMCID: cid})
	if err != nil {
		w.t.Fatal(err)
	}
	var has bool
	subject := messages.ServiceSubject(messages.CPIService(openstack.Name), messages.SvcHasVM)
	if err := w.conn.Call(w.t.Context(), subject, messages.CallRequest{Args: args, Secrets: w.secrets()}, &has); err != nil || has != want {
		w.t.Errorf("has_vm is %t, want %t: %v", has, want, err)
	}
}

// noSecret reads everything that people may watch.
func (w *world) noSecret() {
	w.t.Helper()
	for _, secret := range []string{"marker", w.cloud.Password()} {
		if strings.Contains(w.log.String(), secret) {
			w.t.Error("a secret is in the log")
		}
	}
	for _, stream := range []string{messages.StreamResult, messages.StreamEvent} {
		all, err := w.conn.Read(w.t.Context(), stream, "bosh.v1.>", 0)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, m := range all {
			if strings.Contains(string(m.Data), "marker") || strings.Contains(string(m.Data), w.cloud.Password()) {
				w.t.Errorf("a secret is on %s", m.Subject)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var image messages.CreateStemcellOutputs
	w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
	n := 0
	refuse := func(name string, code messages.Code, change func(*messages.CreateVMArgs)) {
		t.Helper()
		n++
		args := w.vm(image.CID)
		args.Tags = tags(messages.MethodCreateVM, n)
		change(&args)
		r := w.do(messages.MethodCreateVM, n, args)
		if r.Status != messages.ResultFailed || r.Error.Code != code {
			t.Errorf("%s: result is %+v (%v), want %s", name, r, r.Error, code)
		}
		if inv := w.cloud.Inventory(); len(inv.Servers)+len(inv.Ports) != 0 {
			t.Errorf("%s: left behind %+v", name, inv)
		}
		if _, _, err := w.registry.read(w.vmName); messages.CodeOf(err) != messages.CodeSettingsNotFound {
			t.Errorf("%s: the settings are left behind: %v", name, err)
		}
	}
	refuse("flavor", messages.CodeCloudNotFound, func(a *messages.CreateVMArgs) { a.CloudProperties = json.RawMessage(`{"instance_type":"none"}`) })
	refuse("image", messages.CodeCloudNotFound, func(a *messages.CreateVMArgs) { a.StemcellCID = "00000000-0000-4000-8000-000000000000" })
	refuse("image elsewhere", messages.CodeMalformed, func(a *messages.CreateVMArgs) { a.StemcellCID = "../v2/images" })
	refuse("two networks without a config drive", messages.CodeManifestInvalid, func(a *messages.CreateVMArgs) {
		a.Networks = map[string]messages.Network{"a": {Type: "dynamic"}, "b": {Type: "dynamic"}}
	})
	refuse("zones with the server's", messages.CodeManifestInvalid, func(a *messages.CreateVMArgs) {
		a.CloudProperties = json.RawMessage(`{"availability_zones":["a","b"]}`)
	})
	refuse("a shared address without a port", messages.CodeManifestInvalid, func(a *messages.CreateVMArgs) {
		a.CloudProperties = json.RawMessage(`{"allowed_address_pairs":"10.0.0.9"}`)
	})
	refuse("key pair", messages.CodeCloudNotFound, func(a *messages.CreateVMArgs) { a.CloudProperties = json.RawMessage(`{"key_name":"none"}`) })
	refuse("group", messages.CodeCloudNotFound, func(a *messages.CreateVMArgs) { a.CloudProperties = json.RawMessage(`{"security_groups":["none"]}`) })
	refuse("quota", messages.CodeCloudQuota, func(a *messages.CreateVMArgs) { a.CloudProperties = json.RawMessage(`{"instance_type":"m1.huge"}`) })
	refuse("networks", messages.CodeManifestInvalid, func(a *messages.CreateVMArgs) { a.Networks = nil })
	refuse("tags of another step", messages.CodeMalformed, func(a *messages.CreateVMArgs) { a.Tags.Step = "k3v9q2m1xa-create_vm-99" })
	refuse("no name", messages.CodeMalformed, func(a *messages.CreateVMArgs) { a.Name = "" })

	w.faults(devcloud.Fault{Mode: devcloud.ModeError, Method: "POST", Path: "/servers$", Message: "No valid host was found."})
	refuse("ERROR", messages.CodeVMFailed, func(*messages.CreateVMArgs) {})
	w.faults(devcloud.Fault{Mode: devcloud.ModeFail, Method: "GET", Path: "/servers", Status: 403, Message: "policy"})
	refuse("listing refused", messages.CodeCloudAuth, func(*messages.CreateVMArgs) {})
}
