package openstack

import (
	"context"
	"encoding/json"
	"slices"
	"sort"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"github.com/microbosh/microbosh/pkg/messages"
)

// addressesOf lists a server's addresses of one kind, fixed or floating; IPv4
// before IPv6.
func addressesOf(server *servers.Server, kind string) []string {
	type address struct {
		Address string `json:"addr"`
		Version int    `json:"version"`
		Kind    string `json:"OS-EXT-IPS:type"`
	}
	var found []address
	names := make([]string, 0, len(server.Addresses))
	for name := range server.Addresses {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		raw, err := json.Marshal(server.Addresses[name])
		var list []address
		if err != nil || json.Unmarshal(raw, &list) != nil {
			continue
		}
		for _, a := range list {
			if a.Kind == kind || (a.Kind == "" && kind == "fixed") {
				found = append(found, a)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b address) int { return a.Version - b.Version })
	out := make([]string, 0, len(found))
	for _, a := range found {
		out = append(out, a.Address)
	}
	return out
}

// findFloating gives the floating IP that the vip network names. It must be
// allocated already, as BOSH has it.
func (s *session) findFloating(ctx context.Context, vip *network) (floatingips.FloatingIP, error) {
	have, err := all(ctx, "list floating IPs", floatingips.List(s.network, floatingips.ListOpts{FloatingIP: vip.IP}), floatingips.ExtractFloatingIPs)
	if err != nil {
		return floatingips.FloatingIP{}, err
	}
	i := slices.IndexFunc(have, func(f floatingips.FloatingIP) bool { return f.FloatingIP == vip.IP })
	if i < 0 {
		return floatingips.FloatingIP{}, messages.Errorf(messages.CodeCloudNotFound, "Floating IP %s not allocated", vip.IP).
			WithHint("openstack floating ip create --floating-ip-address %s NETWORK allocates it to the project", vip.IP)
	}
	return have[i], nil
}

// checkVIP refuses an address that another server has, unless the manifest says
// that it may be taken. A Director means it without saying.
func (s *session) checkVIP(ctx context.Context, vip *network) error {
	if vip == nil {
		return nil
	}
	floating, err := s.findFloating(ctx, vip)
	if err != nil || floating.PortID == "" || vip.reassign || s.trusting {
		return err
	}
	return messages.Errorf(messages.CodeCloudConflict, "the floating IP %s is in use at %s", vip.IP, first(floating.FixedIP, floating.PortID)).
		WithHint("free it, choose another, or have it taken: reassign: true in the cloud_properties of network `%s'", vip.name)
}

// assignFloating gives the server the vip, if there is one. checkVIP let it
// move from the server that has it. With several ports it leads to the one by
// which the server answers.
func (s *session) assignFloating(ctx context.Context, cid string, wanted networks) error {
	vip := wanted.vip
	if vip == nil {
		return nil
	}
	floating, err := s.findFloating(ctx, vip)
	if err != nil {
		return err
	}
	port, err := s.gatewayPort(ctx, cid, wanted.gateway())
	if err != nil || floating.PortID == port.ID {
		return err
	}
	options := floatingips.UpdateOpts{PortID: &port.ID}
	return classify("assign the floating IP "+vip.IP, writes, floatingips.Update(ctx, s.network, floating.ID, options).Err)
}

// gatewayPort is the server's port in its gateway network. A network without an
// id is the only one.
func (s *session) gatewayPort(ctx context.Context, cid string, gateway *network) (*ports.Port, error) {
	mine, err := s.serverPorts(ctx, cid)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(mine, func(p ports.Port) bool {
		there := slices.ContainsFunc(p.FixedIPs, func(ip ports.IP) bool { return gateway.IP == "" || ip.IPAddress == gateway.IP })
		return (gateway.NetID == "" || p.NetworkID == gateway.NetID) && there
	})
	if i < 0 {
		return nil, messages.Errorf(messages.CodeCloudTransient, "Server `%s' has no port in network `%s' yet", cid, gateway.name)
	}
	return &mine[i], nil
}

func (s *session) serverPorts(ctx context.Context, cid string) ([]ports.Port, error) {
	list, err := all(ctx, "list ports", ports.List(s.network, ports.ListOpts{DeviceID: cid}), ports.ExtractPorts)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(p ports.Port) bool { return p.DeviceID != cid }), nil
}

// floatingOf lists the floating addresses of a server as Neutron has them.
func (s *session) floatingOf(ctx context.Context, cid string) ([]string, error) {
	mine, err := s.serverPorts(ctx, cid)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range mine {
		list, err := all(ctx, "list floating IPs", floatingips.List(s.network, floatingips.ListOpts{PortID: p.ID}), floatingips.ExtractFloatingIPs)
		if err != nil {
			return nil, err
		}
		for _, f := range list {
			if f.PortID == p.ID {
				out = append(out, f.FloatingIP)
			}
		}
	}
	return out, nil
}
