package conformance_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

// TestOptions boots a VM with everything that a manifest may ask for at once.
func TestOptions(t *testing.T) {
	eachTarget(t, func(t *testing.T, cloud target) {
		l := newRig(t, cloud).newLife()
		l.override = map[string]any{"config_drive": "cdrom", "use_dhcp": false, "ignore_server_availability_zone": true, "default_security_groups": []string{"default"}}
		steps := lifeSteps()
		l.allocate()
		l.live(steps[0])
		octets := strings.Split(cloud.Second.CIDR.Addr().String(), ".")
		in := func(n string) string { return strings.Join(octets[:3], ".") + "." + n }
		shared, networks := in("220"), l.networks()
		own, _ := json.Marshal(map[string]string{"net_id": cloud.Second.ID})
		networks["second"] = messages.Network{Type: "manual", IP: in("77"), CloudProperties: own, Default: []string{"gateway"}}
		plain := networks["bosh"]
		plain.Default = []string{"dns"}
		networks["bosh"] = plain
		id := l.next(messages.MethodCreateVM)
		l.vmStep = id
		l.vm = l.must(messages.MethodCreateVM, id, messages.CreateVMArgs{
			AgentID: "agent-1", Name: l.vmName, StemcellCID: l.image, Networks: networks, Tags: l.tags(id),
			CloudProperties: json.RawMessage(`{"instance_type":"m1.small","availability_zones":["nova"],"boot_from_volume":true,"root_disk":{"size":2},"allowed_address_pairs":"` + shared + `"}`),
		})
		if have := l.admin.of(l.uid)["port"]; len(have) != 2 {
			t.Errorf("the ports are %+v, want 2", have)
		}
		var floating struct {
			IPs []struct {
				Fixed string `json:"fixed_ip_address"`
			} `json:"floatingips"`
		}
		l.admin.do(http.MethodGet, l.admin.url("network", "/floatingips?floating_ip_address="+l.floating), nil, &floating, http.StatusOK)
		if len(floating.IPs) != 1 || floating.IPs[0].Fixed != in("77") {
			t.Errorf("%s is %+v, want it to lead to the gateway network's %s", l.floating, floating.IPs, in("77"))
		}
		var server struct {
			Server struct {
				Drive   string                `json:"config_drive"`
				Zone    string                `json:"OS-EXT-AZ:availability_zone"`
				Volumes []struct{ ID string } `json:"os-extended-volumes:volumes_attached"`
			}
		}
		l.admin.do(http.MethodGet, l.admin.url("compute", "/servers/"+l.vm), nil, &server, http.StatusOK)
		if s := server.Server; s.Drive != "True" || s.Zone != "nova" || len(s.Volumes) != 1 {
			t.Errorf("the server is %+v", s)
		}
		var port struct {
			Ports []struct {
				Pairs []struct {
					IP string `json:"ip_address"`
				} `json:"allowed_address_pairs"`
			}
		}
		l.admin.do(http.MethodGet, l.admin.url("network", "/ports?device_id="+l.vm), nil, &port, http.StatusOK)
		found := false
		for _, p := range port.Ports {
			found = found || (len(p.Pairs) == 1 && p.Pairs[0].IP == shared)
		}
		if !found {
			t.Errorf("no port may use %s: %+v", shared, port.Ports)
		}
		for _, s := range steps[len(steps)-2:] {
			l.live(s)
		}
	})
}

// TestBalanced has a VM in a load balancer's pool, where the cloud has Octavia,
// and is refused in words where it has none.
func TestBalanced(t *testing.T) {
	eachTarget(t, func(t *testing.T, cloud target) {
		l := newRig(t, cloud).newLife()
		steps := lifeSteps()
		l.live(steps[0])
		args := func(id string) any {
			a := steps[1].args(l, id).(messages.CreateVMArgs)
			a.CloudProperties = json.RawMessage(`{"instance_type":"m1.small","loadbalancer_pools":[{"name":"web","port":443}]}`)
			return a
		}
		if l.admin.urls["load-balancer"] == "" {
			l.refuse(messages.CodeNotSupported, messages.MethodCreateVM, args)
		} else {
			l.refuse(messages.CodeCloudNotFound, messages.MethodCreateVM, args)
			l.balance(args)
		}
		if have := count(l.admin.of(l.uid)); have != "1 image" {
			t.Errorf("the cloud holds %q", have)
		}
		l.live(steps[len(steps)-1])
	})
}

// balance makes the pool, and a VM in it, and ends the VM.
func (l *life) balance(args func(string) any) {
	l.t.Helper()
	root := l.admin.urls["load-balancer"] + "/v2.0/lbaas/pools"
	var pool struct{ Pool thing }
	l.admin.do(http.MethodPost, root, tree{"pool": tree{"name": "web", "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}}, &pool, http.StatusCreated)
	members := func() (list []struct {
		Name    string
		Address string
		Port    int    `json:"protocol_port"`
		Status  string `json:"provisioning_status"`
	}) {
		var now map[string]json.RawMessage
		l.admin.do(http.MethodGet, root+"/"+pool.Pool.ID+"/members", nil, &now, http.StatusOK)
		if err := json.Unmarshal(now["members"], &list); err != nil {
			l.t.Fatal(err)
		}
		return list
	}
	id := l.next(messages.MethodCreateVM)
	l.vm, l.vmStep = l.must(messages.MethodCreateVM, id, args(id)), id
	if have := members(); len(have) != 1 || have[0].Name != id || have[0].Address != l.ip || have[0].Port != 443 || have[0].Status != "ACTIVE" {
		l.t.Errorf("the members are %+v", have)
	}
	l.must(messages.MethodDeleteVM, l.next(messages.MethodDeleteVM), messages.DeleteVMArgs{VMCID: l.vm, Name: l.vmName, Owner: l.vmStep})
	if have := members(); len(have) != 0 {
		l.t.Errorf("the members are still %+v", have)
	}
}
