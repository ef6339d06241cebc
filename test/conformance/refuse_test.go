package conformance_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/microbosh/microbosh/pkg/messages"
)

// TestBadInput asks for what no cloud can give. Each refusal has its code and a
// message that names what is wrong, and nothing is left.
func TestBadInput(t *testing.T) {
	eachTarget(t, func(t *testing.T, cloud target) {
		badInput(newRig(t, cloud).newLife())
	})
}

func badInput(l *life) {
	t, steps := l.t, lifeSteps()
	l.allocate()
	for _, method := range []string{messages.MethodCreateStemcell, messages.MethodCreateVM, messages.MethodCreateDisk, messages.MethodSnapshotDisk} {
		l.liveOne(method)
	}
	l.refuseIDs()
	l.liveOne(messages.MethodDeleteSnapshot)
	l.liveOne(messages.MethodDeleteDisk)
	nowhere := uuid.NewString()
	vm := func(change func(*messages.CreateVMArgs)) func(string) any {
		return func(id string) any {
			args := steps[1].args(l, id).(messages.CreateVMArgs)
			args.Name = "vm-" + uuid.NewString()
			args.Networks = map[string]messages.Network{"bosh": {Type: "manual", IP: l.address(201), CloudProperties: l.networks()["bosh"].CloudProperties}}
			change(&args)
			return args
		}
	}
	own := func(text string) func(string) any {
		return vm(func(a *messages.CreateVMArgs) { a.CloudProperties = json.RawMessage(text) })
	}
	disk := func(mib int, own string) func(string) any {
		return func(id string) any {
			return messages.CreateDiskArgs{SizeMiB: mib, CloudProperties: json.RawMessage(own), Tags: l.tags(id)}
		}
	}
	for _, c := range []struct {
		name, method string
		args         any
		want         messages.Code
		says         string
	}{
		{"nothing to reboot", messages.MethodRebootVM, messages.VMArgs{VMCID: nowhere}, messages.CodeCloudNotFound, nowhere},
		{"no disk to attach", messages.MethodAttachDisk, messages.DiskArgs{VMCID: l.vm, DiskCID: nowhere}, messages.CodeCloudNotFound, nowhere},
		{"no VM to attach to", messages.MethodAttachDisk, messages.DiskArgs{VMCID: nowhere, DiskCID: nowhere}, messages.CodeCloudNotFound, nowhere},
		{"no disk to grow", messages.MethodResizeDisk, messages.ResizeDiskArgs{DiskCID: nowhere, SizeMiB: 2048}, messages.CodeCloudNotFound, nowhere},
		{"no disk to snapshot", messages.MethodSnapshotDisk, func(id string) any {
			return messages.SnapshotDiskArgs{DiskCID: nowhere, Tags: l.tags(id)}
		}, messages.CodeCloudNotFound, nowhere},
		{"a tiny disk", messages.MethodCreateDisk, disk(100, ""), messages.CodeManifestInvalid, "1 GiB"},
		{"a disk beyond all", messages.MethodCreateDisk, disk(2<<20, ""), messages.CodeManifestInvalid, "1 TiB"},
		{"a negative disk", messages.MethodCreateDisk, disk(-1, ""), messages.CodeManifestInvalid, "1 GiB"},
		{"a type of the wrong type", messages.MethodCreateDisk, disk(1024, `{"type":7}`), messages.CodeManifestInvalid, "cloud_properties"},
		{"a volume type that is not there", messages.MethodCreateDisk, disk(1024, `{"type":"golden"}`), messages.CodeCloudNotFound, "golden"},
		{"a flavor that is not there", messages.MethodCreateVM, vm(func(a *messages.CreateVMArgs) {
			a.CloudProperties = json.RawMessage(`{"instance_type":"m9.huge"}`)
		}), messages.CodeCloudNotFound, "m9.huge"},
		{"a flavor of the wrong type", messages.MethodCreateVM, vm(func(a *messages.CreateVMArgs) {
			a.CloudProperties = json.RawMessage(`{"instance_type":["m1.small"]}`)
		}), messages.CodeManifestInvalid, "cloud_properties"},
		{"hints of the wrong type", messages.MethodCreateVM, own(`{"scheduler_hints":"group"}`), messages.CodeManifestInvalid, "cloud_properties"},
		{"a root disk of the wrong type", messages.MethodCreateVM, own(`{"root_disk":{"size":"large"}}`), messages.CodeManifestInvalid, "cloud_properties"},
		{"groups of the wrong type", messages.MethodCreateVM, own(`{"security_groups":{"a":1}}`), messages.CodeManifestInvalid, "cloud_properties"},
		{"properties that are none", messages.MethodCreateVM, own(`["m1.small"]`), messages.CodeManifestInvalid, "cloud_properties"},
		{"no network", messages.MethodCreateVM, vm(func(a *messages.CreateVMArgs) { a.Networks = nil }), messages.CodeManifestInvalid, "network"},
		{"a network of the wrong type", messages.MethodCreateVM, vm(func(a *messages.CreateVMArgs) {
			a.Networks = map[string]messages.Network{"bosh": {Type: "dynamic", CloudProperties: json.RawMessage(`{"net_id":7}`)}}
		}), messages.CodeManifestInvalid, "bosh"},
		{"a network of no type", messages.MethodCreateVM, vm(func(a *messages.CreateVMArgs) {
			a.Networks = map[string]messages.Network{"bosh": {Type: "overlay"}}
		}), messages.CodeManifestInvalid, "overlay"},
		{"a key that is not there", messages.MethodCreateVM, vm(func(a *messages.CreateVMArgs) {
			a.CloudProperties = json.RawMessage(`{"instance_type":"m1.small","key_name":"lost"}`)
		}), messages.CodeCloudNotFound, "lost"},
		{"a security group that is not there", messages.MethodCreateVM, vm(func(a *messages.CreateVMArgs) {
			a.CloudProperties = json.RawMessage(`{"instance_type":"m1.small","security_groups":["lost"]}`)
		}), messages.CodeCloudNotFound, "lost"},
		{"an image that is not there", messages.MethodCreateVM, vm(func(a *messages.CreateVMArgs) { a.StemcellCID = nowhere }), messages.CodeCloudNotFound, nowhere},
		{"a network that is not there", messages.MethodCreateVM, vm(func(a *messages.CreateVMArgs) {
			a.Networks = map[string]messages.Network{"bosh": {Type: "manual", IP: l.address(202), CloudProperties: json.RawMessage(`{"net_id":"` + nowhere + `"}`)}}
		}), messages.CodeCloudNotFound, nowhere},
		{"an address that is taken", messages.MethodCreateVM, vm(func(a *messages.CreateVMArgs) { a.Networks = l.networks() }), messages.CodeCloudConflict, l.ip},
		{"an address of elsewhere", messages.MethodCreateVM, vm(func(a *messages.CreateVMArgs) {
			n := a.Networks["bosh"]
			n.IP = "10.254.254.254"
			a.Networks["bosh"] = n
		}), messages.CodeCloudInvalid, "10.254.254.254"},
		{"a floating IP that is not there", messages.MethodCreateVM, vm(func(a *messages.CreateVMArgs) {
			a.Networks["vip"] = messages.Network{Type: "vip", IP: "203.0.113.250"}
		}), messages.CodeCloudNotFound, "203.0.113.250"},
		{"a floating IP that another has", messages.MethodCreateVM, vm(func(a *messages.CreateVMArgs) {
			a.Networks["vip"] = messages.Network{Type: "vip", IP: l.floating}
		}), messages.CodeCloudConflict, l.floating},
		{"a light stemcell that is not there", messages.MethodCreateStemcell, func(id string) any {
			return messages.CreateStemcellArgs{Stemcell: messages.StemcellRef{CID: nowhere}, Tags: l.tags(id)}
		}, messages.CodeCloudNotFound, nowhere},
		{"a stemcell for another cloud", messages.MethodCreateStemcell, func(id string) any {
			ref := l.stem
			ref.CloudProperties = json.RawMessage(`{"infrastructure":"vsphere"}`)
			return messages.CreateStemcellArgs{Stemcell: ref, Tags: l.tags(id)}
		}, messages.CodeStemcellInvalid, "vsphere"},
		{"a method that is not there", "configure_networks", messages.VMArgs{VMCID: l.vm}, messages.CodeNotSupported, "configure_networks"},
	} {
		if said := l.refuse(c.want, c.method, c.args); !strings.Contains(said.Message, c.says) {
			t.Errorf("%s: %q does not name %q", c.name, said.Message, c.says)
		}
	}
	if have := count(l.admin.of(l.uid)); have != "1 server, 1 image, 1 port" {
		t.Errorf("the cloud holds %q", have)
	}
	for _, s := range steps[len(steps)-2:] {
		l.live(s)
	}
	l.denied()
}

// denied is refused for who asks, not for what.
func (l *life) denied() {
	l.t.Helper()
	small := func(id string) any { return messages.CreateDiskArgs{SizeMiB: 1024, Tags: l.tags(id)} }
	l.override = map[string]any{"api_key": "wrong"}
	l.refuse(messages.CodeCloudAuth, messages.MethodCreateDisk, small)
	if l.cloud.Tight != "" {
		l.override = map[string]any{"tenant": l.cloud.Tight}
		l.refuse(messages.CodeCloudQuota, messages.MethodCreateDisk, small)
	}
	l.override = nil
}

// TestPreflight tells good from bad before anything is made.
func TestPreflight(t *testing.T) {
	eachTarget(t, func(t *testing.T, cloud target) {
		r := newRig(t, cloud)
		own, _ := json.Marshal(map[string]string{"net_id": cloud.Private.ID})
		args := messages.PreflightArgs{
			CloudProperties: json.RawMessage(`{"instance_type":"m1.small"}`), DiskMiB: 1024,
			Networks: map[string]messages.Network{"bosh": {Type: "dynamic", CloudProperties: own}},
		}
		look := func() map[string]*messages.Error {
			t.Helper()
			var reply messages.PreflightReply
			if err := r.ask(messages.SvcPreflight, args, &reply); err != nil {
				t.Fatal(err)
			}
			out := map[string]*messages.Error{}
			for _, c := range reply.Checks {
				out[c.Name] = c.Error
			}
			return out
		}
		for name, err := range look() {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		nowhere := uuid.NewString()
		args.CloudProperties = json.RawMessage(`{"instance_type":"m9.huge","key_name":"lost","security_groups":["lost"]}`)
		args.StemcellCID, args.DiskMiB = nowhere, 1<<30
		args.Networks = map[string]messages.Network{"bosh": {Type: "dynamic", CloudProperties: json.RawMessage(`{"net_id":"` + nowhere + `"}`)}}
		bad := look()
		for name, want := range map[string]messages.Code{
			"flavor": messages.CodeCloudNotFound, "key pair": messages.CodeCloudNotFound, "security groups": messages.CodeCloudNotFound,
			"image": messages.CodeCloudNotFound, "network bosh": messages.CodeCloudNotFound, "volume quota": messages.CodeCloudQuota,
		} {
			if bad[name] == nil || bad[name].Code != want {
				t.Errorf("%s: %v, want %s", name, bad[name], want)
			}
		}
		if cloud.Tight != "" {
			r.override = map[string]any{"tenant": cloud.Tight}
			if err := look()["compute quota"]; err == nil || err.Code != messages.CodeCloudQuota {
				t.Errorf("no room, and preflight says %v", err)
			}
		}
	})
}

// TestCalculate picks the smallest that fits.
func TestCalculate(t *testing.T) {
	eachTarget(t, func(t *testing.T, cloud target) {
		r := newRig(t, cloud)
		var got map[string]any
		if err := r.ask(messages.SvcCalculate, messages.CalculateArgs{CPU: 1, RAM: 1024, EphemeralDisk: 10240}, &got); err != nil || got["instance_type"] != "m1.small" {
			t.Errorf("calculated %v %v", got, err)
		}
		if err := r.ask(messages.SvcCalculate, messages.CalculateArgs{CPU: 1000, RAM: 1024}, &got); messages.CodeOf(err) != messages.CodeCloudNotFound {
			t.Errorf("a thousand cores: %v %v", got, err)
		}
	})
}
