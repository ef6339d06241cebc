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
		l.live(steps[0])
		shared := l.address(220)
		networks := l.networks()
		ports := 1
		if cloud.Second.ID != "" {
			octets := strings.Split(cloud.Second.CIDR.Addr().String(), ".")
			own, _ := json.Marshal(map[string]string{"net_id": cloud.Second.ID})
			networks["second"] = messages.Network{Type: "manual", IP: strings.Join(octets[:3], ".") + ".77", CloudProperties: own}
			ports = 2
		}
		id := l.next(messages.MethodCreateVM)
		l.vmStep = id
		l.vm = l.must(messages.MethodCreateVM, id, messages.CreateVMArgs{
			AgentID: "agent-1", Name: l.vmName, StemcellCID: l.image, Networks: networks, Tags: l.tags(id),
			CloudProperties: json.RawMessage(`{"instance_type":"m1.small","availability_zones":["nova"],"boot_from_volume":true,"root_disk":{"size":2},"allowed_address_pairs":"` + shared + `"}`),
		})
		if have := l.admin.of(l.uid)["port"]; len(have) != ports {
			t.Errorf("the ports are %+v, want %d", have, ports)
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
