package openstack_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/pkg/messages"
)

func (w *world) manual(image, ip string) messages.CreateVMArgs {
	args := w.vm(image)
	args.Networks = map[string]messages.Network{"bosh": {
		Type: "manual", IP: ip, Netmask: "255.255.0.0", CloudProperties: json.RawMessage(fmt.Sprintf(`{"net_id":%q}`, w.cloud.NetworkID())),
	}}
	return args
}

// A manual network's port is made once, whatever its request meets, and goes
// with the server; its address is known to the registry before the boot.
func TestManualNetwork(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]devcloud.Mode{
		"plain": devcloud.ModeDelay, "dropped": devcloud.ModeDrop, "twice": devcloud.ModeDuplicate, "503 after the effect": devcloud.ModeLate503,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var image messages.CreateStemcellOutputs
			w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
			w.faults(devcloud.Fault{Mode: mode, Method: "POST", Path: "/ports$", Count: 1})
			const ip = "127.20.0.50"
			var vm messages.CreateVMOutputs
			w.must(messages.MethodCreateVM, 1, w.manual(image.CID, ip), &vm)
			var found messages.DiscoverIPOutputs
			w.must(messages.MethodDiscoverIP, 1, messages.VMArgs{VMCID: vm.CID}, &found)
			settings, put, err := w.registry.read(w.vmName)
			if err != nil {
				t.Fatal(err)
			}
			var s messages.Settings
			if err := json.Unmarshal(settings, &s); err != nil {
				t.Fatal(err)
			}
			if found.ServiceIP != ip || len(put.Addresses) != 1 || put.Addresses[0] != ip || s.Networks["bosh"].MAC == "" {
				t.Errorf("found %+v, the registry has %v for %+v", found, put.Addresses, s.Networks)
			}
			if inv := w.cloud.Inventory(); len(inv.Ports) != 1 || len(inv.Servers) != 1 {
				t.Errorf("the cloud holds %+v", inv)
			}
			w.must(messages.MethodDeleteVM, 1, messages.DeleteVMArgs{VMCID: vm.CID, Name: w.vmName, Owner: w.vm("").Tags.Step}, nil)
			if inv := w.cloud.Inventory(); len(inv.Ports)+len(inv.Servers) != 0 {
				t.Errorf("left behind: %+v", inv)
			}
		})
	}
}

// A VM that comes to nothing leaves no port; an address in use is told so.
func TestManualNetworkRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var image messages.CreateStemcellOutputs
	w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
	w.faults(devcloud.Fault{Mode: devcloud.ModeError, Method: "POST", Path: "/servers$", Count: 1})
	if r := w.do(messages.MethodCreateVM, 1, w.manual(image.CID, "127.20.0.50")); r.Status != messages.ResultFailed || r.Error.Code != messages.CodeVMFailed {
		t.Errorf("result is %+v (%v)", r, r.Error)
	}
	if inv := w.cloud.Inventory(); len(inv.Ports)+len(inv.Servers) != 0 {
		t.Errorf("left behind: %+v", inv)
	}
	first := w.manual(image.CID, "127.20.0.50")
	first.Tags = tags(messages.MethodCreateVM, 2)
	w.must(messages.MethodCreateVM, 2, first, nil)
	second := w.manual(image.CID, "127.20.0.50")
	second.Tags, second.Name = tags(messages.MethodCreateVM, 3), w.vmName+"-b"
	if r := w.do(messages.MethodCreateVM, 3, second); r.Status != messages.ResultFailed || r.Error.Code != messages.CodeCloudConflict {
		t.Errorf("result is %+v (%v)", r, r.Error)
	}
	if inv := w.cloud.Inventory(); len(inv.Ports) != 1 || len(inv.Servers) != 1 {
		t.Errorf("the cloud holds %+v", inv)
	}
}

func TestFloatingIP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var image messages.CreateStemcellOutputs
	w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
	args := w.vm(image.CID)
	args.Networks["vip"] = messages.Network{Type: "vip", IP: "203.0.113.10"}
	var vm messages.CreateVMOutputs
	w.must(messages.MethodCreateVM, 1, args, &vm)
	var found messages.DiscoverIPOutputs
	w.must(messages.MethodDiscoverIP, 1, messages.VMArgs{VMCID: vm.CID}, &found)
	if found.IP != "203.0.113.10" || found.ServiceIP == found.IP {
		t.Errorf("found %+v", found)
	}
	other := w.vm(image.CID)
	other.Tags, other.Name = tags(messages.MethodCreateVM, 2), w.vmName+"-b"
	other.Networks["vip"] = messages.Network{Type: "vip", IP: "203.0.113.99"}
	if r := w.do(messages.MethodCreateVM, 2, other); r.Status != messages.ResultFailed || r.Error.Code != messages.CodeCloudNotFound {
		t.Errorf("an address that nobody allocated: %+v", r)
	}
	if inv := w.cloud.Inventory(); len(inv.Servers) != 1 {
		t.Errorf("the cloud holds %+v", inv.Servers)
	}
}

// With several ports a floating IP leads to the one by which the VM answers.
func TestFloatingIPOfSeveral(t *testing.T) {
	t.Parallel()
	for _, gateway := range []string{"private", "second"} {
		t.Run(gateway, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *devcloud.Options) { o.Second = netip.MustParsePrefix("127.21.0.0/16") })
			w.override = map[string]any{"use_dhcp": false, "config_drive": "cdrom"}
			var image messages.CreateStemcellOutputs
			w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
			args, want := w.vm(image.CID), map[string]string{"private": "127.20.0.50", "second": "127.21.0.50"}
			args.Networks = map[string]messages.Network{"vip": {Type: "vip", IP: "203.0.113.10"}}
			for name, id := range map[string]string{"private": w.cloud.NetworkID(), "second": w.cloud.SecondID()} {
				n := messages.Network{Type: "manual", IP: want[name], CloudProperties: json.RawMessage(fmt.Sprintf(`{"net_id":%q}`, id))}
				if name == gateway {
					n.Default = []string{"dns", "gateway"}
				}
				args.Networks[name] = n
			}
			var vm messages.CreateVMOutputs
			w.must(messages.MethodCreateVM, 1, args, &vm)
			inv := w.cloud.Inventory()
			if len(inv.FloatingIPs) != 1 || len(inv.Ports) != 2 {
				t.Fatalf("the cloud holds %+v", inv)
			}
			if to := inv.FloatingIPs[0].Metadata["fixed_ip_address"]; to != want[gateway] {
				t.Errorf("the floating IP leads to %s, want %s", to, want[gateway])
			}
		})
	}
}

// A port is deleted by itself only when it is its owner's and no server uses it.
func TestDeletePort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var image messages.CreateStemcellOutputs
	w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
	args := w.manual(image.CID, "127.20.0.51")
	w.must(messages.MethodCreateVM, 1, args, nil)
	port := w.cloud.Inventory().Ports[0].ID
	for n, c := range map[int]struct {
		args messages.DeletePortArgs
		want messages.Code
	}{
		1: {messages.DeletePortArgs{PortCID: port, Owner: args.Tags.Step}, messages.CodeCloudConflict},
		2: {messages.DeletePortArgs{PortCID: port, Owner: messages.StepID(uid, messages.MethodCreateVM, 9)}, messages.CodeCloudForeign},
		3: {messages.DeletePortArgs{Owner: args.Tags.Step}, messages.CodeMalformed},
		4: {messages.DeletePortArgs{PortCID: port}, messages.CodeMalformed},
	} {
		if r := w.do(messages.MethodDeletePort, n, c.args); r.Status != messages.ResultFailed || r.Error.Code != c.want {
			t.Errorf("delete_port of %+v is %+v, want %s", c.args, r, c.want)
		}
	}
	w.must(messages.MethodDeletePort, 5, messages.DeletePortArgs{PortCID: "8f8ae4a7-0d4c-4f6a-9b8e-000000000000", Owner: args.Tags.Step}, nil)
	if inv := w.cloud.Inventory(); len(inv.Ports) != 1 {
		t.Errorf("the cloud holds %+v", inv)
	}
}
