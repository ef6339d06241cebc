package conformance_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/microbosh/microbosh/pkg/messages"
)

// life is one VM with a disk, from its stemcell to nothing.
type life struct {
	*rig
	image, vm, disk, snapshot                     string
	imageStep, vmStep, diskStep, shotStep, vmName string
	floating                                      string
	stem                                          messages.StemcellRef
	ip                                            string
}

// step is one use of a method in a life.
type step struct {
	method string
	args   func(*life, string) any
	done   func(*life, string, messages.Result)
	want   string // what the cloud holds afterwards
}

func (l *life) networks() map[string]messages.Network {
	own, _ := json.Marshal(map[string]string{"net_id": l.cloud.Private.ID})
	out := map[string]messages.Network{"bosh": {
		Type: "manual", IP: l.ip, Netmask: "255.255.255.0", Gateway: l.address(1), Default: []string{"dns", "gateway"}, CloudProperties: own,
	}}
	if l.floating != "" {
		out["vip"] = messages.Network{Type: "vip", IP: l.floating}
	}
	return out
}

// lifeSteps go through every method that changes the world.
func lifeSteps() []step {
	return []step{
		{messages.MethodCreateStemcell, func(l *life, id string) any {
			return messages.CreateStemcellArgs{Stemcell: l.stem, Tags: l.tags(id)}
		}, func(l *life, id string, r messages.Result) { l.image, l.imageStep = r.CID, id }, "1 image"},
		{messages.MethodCreateVM, func(l *life, id string) any {
			return messages.CreateVMArgs{
				AgentID: "agent-1", Name: l.vmName, StemcellCID: l.image, CloudProperties: json.RawMessage(`{"instance_type":"m1.small"}`),
				Networks: l.networks(), Tags: l.tags(id),
			}
		}, func(l *life, id string, r messages.Result) { l.vm, l.vmStep = r.CID, id }, "1 server, 1 image, 1 port"},
		{messages.MethodSetVMMetadata, func(l *life, _ string) any {
			return messages.SetVMMetadataArgs{VMCID: l.vm, Metadata: map[string]string{"director": "conformance", "index": "0"}}
		}, nil, "1 server, 1 image, 1 port"},
		{messages.MethodDiscoverIP, func(l *life, _ string) any { return messages.VMArgs{VMCID: l.vm} }, nil, "1 server, 1 image, 1 port"},
		{messages.MethodCreateDisk, func(l *life, id string) any {
			return messages.CreateDiskArgs{SizeMiB: 1024, VMCID: l.vm, Tags: l.tags(id)}
		}, func(l *life, id string, r messages.Result) { l.disk, l.diskStep = r.CID, id }, "1 server, 1 volume, 1 image, 1 port"},
		{messages.MethodSetDiskMetadata, func(l *life, _ string) any {
			return messages.SetDiskMetadataArgs{DiskCID: l.disk, Metadata: map[string]string{"director": "conformance"}}
		}, nil, "1 server, 1 volume, 1 image, 1 port"},
		{messages.MethodResizeDisk, func(l *life, _ string) any { return messages.ResizeDiskArgs{DiskCID: l.disk, SizeMiB: 2048} }, nil,
			"1 server, 1 volume, 1 image, 1 port"},
		{messages.MethodUpdateDisk, func(l *life, _ string) any { return messages.UpdateDiskArgs{DiskCID: l.disk, SizeMiB: 3000} }, nil,
			"1 server, 1 volume, 1 image, 1 port"},
		{messages.MethodAttachDisk, func(l *life, _ string) any {
			return messages.DiskArgs{VMCID: l.vm, DiskCID: l.disk, VMName: l.vmName}
		}, nil, "1 server, 1 volume, 1 image, 1 port"},
		{messages.MethodSnapshotDisk, func(l *life, id string) any {
			return messages.SnapshotDiskArgs{DiskCID: l.disk, Metadata: map[string]string{"deployment": "d", "job": "j", "index": "0"}, Tags: l.tags(id)}
		}, func(l *life, id string, r messages.Result) { l.snapshot, l.shotStep = r.CID, id }, "1 server, 1 volume, 1 snapshot, 1 image, 1 port"},
		{messages.MethodRebootVM, func(l *life, _ string) any { return messages.VMArgs{VMCID: l.vm} }, nil, "1 server, 1 volume, 1 snapshot, 1 image, 1 port"},
		{messages.MethodDeleteSnapshot, func(l *life, _ string) any {
			return messages.DeleteSnapshotArgs{CID: l.snapshot, Owner: l.shotStep}
		}, nil, "1 server, 1 volume, 1 image, 1 port"},
		{messages.MethodDetachDisk, func(l *life, _ string) any {
			return messages.DiskArgs{VMCID: l.vm, DiskCID: l.disk, VMName: l.vmName}
		}, nil, "1 server, 1 volume, 1 image, 1 port"},
		{messages.MethodDeleteDisk, func(l *life, _ string) any { return messages.DeleteDiskArgs{DiskCID: l.disk, Owner: l.diskStep} }, nil,
			"1 server, 1 image, 1 port"},
		{messages.MethodDeleteVM, func(l *life, _ string) any {
			return messages.DeleteVMArgs{VMCID: l.vm, Name: l.vmName, Owner: l.vmStep}
		}, nil, "1 image"},
		{messages.MethodDeleteStemcell, func(l *life, _ string) any { return messages.DeleteStemcellArgs{CID: l.image, Owner: l.imageStep} }, nil, ""},
	}
}

func (r *rig) newLife() *life {
	return &life{rig: r, vmName: "vm-" + uuid.NewString(), stem: r.stemcell(), ip: r.address(byte(20 + rand.IntN(150)))}
}

// allocate gets the project a floating IP for the length of the test.
func (l *life) allocate() {
	l.t.Helper()
	external := l.cloud.External.ID
	if external == "" {
		var nets struct{ Networks []thing }
		l.admin.do(http.MethodGet, l.admin.url("network", "/networks?name=public"), nil, &nets, http.StatusOK)
		external = nets.Networks[0].ID
	}
	var made struct {
		IP struct {
			ID      string `json:"id"`
			Address string `json:"floating_ip_address"`
		} `json:"floatingip"`
	}
	l.admin.do(http.MethodPost, l.admin.url("network", "/floatingips"), tree{"floatingip": tree{"floating_network_id": external}}, &made, http.StatusCreated)
	l.floating = made.IP.Address
	l.t.Cleanup(func() {
		l.admin.do(http.MethodDelete, l.admin.url("network", "/floatingips/"+made.IP.ID), nil, nil, http.StatusNoContent)
	})
}

// live does one step and looks that the cloud holds what it should.
func (l *life) live(s step) messages.Result {
	l.t.Helper()
	id := l.next(s.method)
	result := l.do(s.method, id, s.args(l, id))
	if result.Status != messages.ResultDone {
		l.t.Fatalf("%s is %s: %+v", id, result.Status, result.Error)
	}
	if s.done != nil {
		s.done(l, id, result)
	}
	if have := count(l.admin.of(l.uid)); have != s.want {
		l.t.Fatalf("after %s the cloud holds %q, want %q", id, have, s.want)
	}
	return result
}

func TestLife(t *testing.T) {
	eachTarget(t, func(t *testing.T, cloud target) {
		l := newRig(t, cloud).newLife()
		l.allocate()
		for _, s := range lifeSteps() {
			result := l.live(s)
			if see := sights[s.method]; see != nil {
				see(l, result)
			}
		}
	})
}

// sights are what a step must have brought about, as the cloud and the CPI's
// reads tell it.
var sights = map[string]func(*life, messages.Result){
	messages.MethodCreateStemcell: func(l *life, _ messages.Result) {
		image := l.admin.of(l.uid)["image"][0]
		if image.Status != "active" || image.Name != "bosh-dev/1" || !slices.Contains(image.Tags, l.imageStep) {
			l.t.Errorf("the image is %+v", image)
		}
	},
	messages.MethodCreateVM: func(l *life, _ messages.Result) {
		server := l.admin.of(l.uid)["server"][0]
		if server.Status != "ACTIVE" || server.Name != l.vmName || server.Metadata["microbosh-step"] != l.vmStep {
			l.t.Errorf("the server is %+v", server)
		}
		var has bool
		if err := l.ask(messages.SvcHasVM, messages.VMArgs{VMCID: l.vm}, &has); err != nil || !has {
			l.t.Errorf("has_vm says %v %v", has, err)
		}
		var found messages.FindReply
		if err := l.ask(messages.SvcFind, messages.FindArgs{UID: l.uid}, &found); err != nil || len(found.Resources) != 3 {
			l.t.Errorf("find says %+v %v", found, err)
		}
		if err := l.ask(messages.SvcConsole, messages.VMArgs{VMCID: l.vm}, new(messages.ConsoleReply)); err != nil {
			l.t.Errorf("console says %v", err)
		}
	},
	messages.MethodSetVMMetadata: func(l *life, _ messages.Result) {
		if m := l.admin.of(l.uid)["server"][0].Metadata; m["director"] != "conformance" || m["microbosh-step"] != l.vmStep {
			l.t.Errorf("the metadata are %v", m)
		}
	},
	messages.MethodDiscoverIP: func(l *life, r messages.Result) {
		var out messages.DiscoverIPOutputs
		if json.Unmarshal(r.Outputs, &out) != nil || out.IP != l.floating || out.ServiceIP != l.ip {
			l.t.Errorf("the addresses are %+v, want %s and %s", out, l.floating, l.ip)
		}
	},
	messages.MethodCreateDisk: func(l *life, _ messages.Result) {
		if v := l.admin.of(l.uid)["volume"][0]; v.Status != "available" || v.Size != 1 || v.Metadata["microbosh-step"] != l.diskStep {
			l.t.Errorf("the volume is %+v", v)
		}
		var has bool
		if err := l.ask(messages.SvcHasDisk, messages.DiskOnlyArgs{DiskCID: l.disk}, &has); err != nil || !has {
			l.t.Errorf("has_disk says %v %v", has, err)
		}
	},
	messages.MethodSetDiskMetadata: func(l *life, _ messages.Result) {
		if m := l.admin.of(l.uid)["volume"][0].Metadata; m["director"] != "conformance" || m["microbosh-step"] != l.diskStep {
			l.t.Errorf("the metadata are %v", m)
		}
	},
	messages.MethodResizeDisk: func(l *life, _ messages.Result) { l.size(2) },
	messages.MethodUpdateDisk: func(l *life, _ messages.Result) { l.size(3) },
	messages.MethodAttachDisk: func(l *life, r messages.Result) {
		var out messages.AttachDiskOutputs
		if json.Unmarshal(r.Outputs, &out) != nil || out.Hint != "/dev/sdb" {
			l.t.Errorf("the hint is %s", r.Outputs)
		}
		l.disks(l.disk)
	},
	messages.MethodDetachDisk: func(l *life, _ messages.Result) { l.disks() },
	messages.MethodDeleteDisk: func(l *life, _ messages.Result) {
		var has bool
		if err := l.ask(messages.SvcHasDisk, messages.DiskOnlyArgs{DiskCID: l.disk}, &has); err != nil || has {
			l.t.Errorf("has_disk says %v %v", has, err)
		}
	},
	messages.MethodDeleteVM: func(l *life, _ messages.Result) {
		has := true
		if err := l.ask(messages.SvcHasVM, messages.VMArgs{VMCID: l.vm}, &has); err != nil || has {
			l.t.Errorf("has_vm says %v %v", has, err)
		}
	},
}

func (l *life) size(gib int) {
	l.t.Helper()
	if v := l.admin.of(l.uid)["volume"][0]; v.Size != gib || v.Status != "available" {
		l.t.Errorf("the volume is %+v, want %d GiB", v, gib)
	}
}

func (l *life) disks(want ...string) {
	l.t.Helper()
	var have []string
	if err := l.ask(messages.SvcGetDisks, messages.VMArgs{VMCID: l.vm}, &have); err != nil || !slices.Equal(have, want) {
		l.t.Errorf("get_disks says %v %v, want %v", have, err, want)
	}
}
