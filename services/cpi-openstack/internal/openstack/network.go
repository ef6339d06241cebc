package openstack

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

// network is one network of a VM with what this CPI reads of it.
type network struct {
	name string
	messages.Network
	NetID          string
	SecurityGroups []string
	reassign       bool     // vip: take the address from the server that has it
	shared         []string // addresses that the port may use beside its own
}

// networks is a VM's networks, by the rules of section "network" in the docs:
// one or more private ones, at most one vip.
type networks struct {
	private []network
	vip     *network
}

func parseNetworks(all map[string]messages.Network) (networks, error) {
	var out networks
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		n := network{name: name, Network: all[name]}
		var own struct {
			NetID          string          `json:"net_id"`
			Reassign       bool            `json:"reassign"`
			SecurityGroups json.RawMessage `json:"security_groups"`
		}
		if err := decode("network "+name, n.CloudProperties, &own); err != nil {
			return out, err
		}
		n.NetID, n.reassign = own.NetID, own.Reassign
		if len(own.SecurityGroups) > 0 && json.Unmarshal(own.SecurityGroups, &n.SecurityGroups) != nil {
			return out, invalid("security groups must be an Array")
		}
		switch first(n.Type, "manual") {
		case "vip":
			if out.vip != nil {
				return out, invalid("More than one vip network")
			}
			if n.IP == "" {
				return out, invalid("No IP provided for vip network `%s'", name)
			}
			out.vip = &n
		case "manual":
			if n.NetID == "" {
				return out, invalid("Manual network must have net_id")
			}
			if n.IP == "" {
				return out, invalid("the manual network `%s' has no ip", name)
			}
			n.Type = "manual"
			out.private = append(out.private, n)
		case "dynamic":
			out.private = append(out.private, n)
		default:
			return out, invalid("Invalid network type `%s': Can only handle `dynamic', `vip', or `manual' network types", n.Type)
		}
	}
	if len(out.private) == 0 {
		return out, invalid("At least one dynamic or manual network should be defined")
	}
	return out, nil
}

// gateway is the private network that leads out: the one that says so, else the
// first.
func (n networks) gateway() *network {
	i := slices.IndexFunc(n.private, func(one network) bool { return slices.Contains(one.Default, "gateway") })
	return &n.private[max(i, 0)]
}

func invalid(format string, args ...any) error {
	return messages.Errorf(messages.CodeManifestInvalid, format, args...)
}

// groupNames are the security groups that a VM asks for: its own, else its
// networks', else the cloud's default.
func (n networks) groupNames(own []string, p properties) []string {
	names := own
	if len(names) == 0 {
		for _, net := range n.private {
			names = append(names, net.SecurityGroups...)
		}
		if n.vip != nil {
			names = append(names, n.vip.SecurityGroups...)
		}
	}
	if len(names) == 0 {
		names = p.OpenStack.DefaultSecurityGroups
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// findGroups gives the ids of security groups named by name or id.
func (s *session) findGroups(ctx context.Context, names []string) ([]groups.SecGroup, error) {
	if len(names) == 0 {
		return nil, nil
	}
	have, err := all(ctx, "list security groups", groups.List(s.network, groups.ListOpts{}), groups.ExtractGroups)
	if err != nil {
		return nil, err
	}
	var out []groups.SecGroup
	for _, name := range names {
		i := s.groupIn(have, name)
		if i < 0 {
			return nil, messages.Errorf(messages.CodeCloudNotFound, "Security group `%s' not found", name).
				WithHint("openstack security group list shows which there are")
		}
		out = append(out, have[i])
	}
	return out, nil
}

// groupIn finds a group by id, else by name. To an operator Neutron shows the
// groups of all projects, and each has one called default: the user's own comes
// first.
func (s *session) groupIn(have []groups.SecGroup, name string) int {
	for _, matches := range []func(groups.SecGroup) bool{
		func(g groups.SecGroup) bool { return g.ID == name },
		func(g groups.SecGroup) bool {
			return g.Name == name && s.project != "" && first(g.ProjectID, g.TenantID) == s.project
		},
		func(g groups.SecGroup) bool { return g.Name == name },
	} {
		if i := slices.IndexFunc(have, matches); i >= 0 {
			return i
		}
	}
	return -1
}

// portName names a network's port after the step that makes it.
func portName(owner, network string) string { return owner + "-" + network }

// ensurePort makes the port with a fixed address, or gives the one that an
// earlier try made. Neutron refuses a second one for the address.
func (s *session) ensurePort(ctx context.Context, owner string, n network, groupIDs []string) (*ports.Port, error) {
	name := portName(owner, n.name)
	have, err := s.portsOf(ctx, owner)
	if err != nil {
		return nil, err
	}
	if port := portNamed(have, name); port != nil {
		return port, nil
	}
	options := ports.CreateOpts{
		NetworkID: n.NetID, Name: name, Description: owner,
		FixedIPs: []map[string]string{{"ip_address": n.IP}},
	}
	for _, ip := range n.shared {
		options.AllowedAddressPairs = append(options.AllowedAddressPairs, ports.AddressPair{IPAddress: ip})
	}
	if len(groupIDs) > 0 {
		options.SecurityGroups = &groupIDs
	}
	port, err := ports.Create(ctx, s.network, options).Extract()
	if err == nil {
		return port, nil
	}
	refused := gophercloud.ResponseCodeIs(err, http.StatusConflict)
	err = classify("make a port for "+n.IP, writes, err)
	if !refused || !hasCode(err, messages.CodeCloudConflict) {
		return nil, err
	}
	if have, err = s.portsOf(ctx, owner); err != nil {
		return nil, err
	}
	if port := portNamed(have, name); port != nil {
		return port, nil // made by a repeat of this very request
	}
	return nil, messages.Errorf(messages.CodeCloudConflict, "the address %s of network `%s' is in use", n.IP, n.name).
		WithHint("openstack port list --fixed-ip ip-address=%s shows by what; free it or choose another address", n.IP)
}

func portNamed(list []ports.Port, name string) *ports.Port {
	i := slices.IndexFunc(list, func(p ports.Port) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// portsOf lists the ports that a create_vm step made.
func (s *session) portsOf(ctx context.Context, owner string) ([]ports.Port, error) {
	if err := require("owner", owner); err != nil {
		return nil, err
	}
	have, err := all(ctx, "list ports", ports.List(s.network, ports.ListOpts{Description: owner}), ports.ExtractPorts)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(have, func(p ports.Port) bool { return !strings.HasPrefix(p.Name, portName(owner, "")) }), nil
}

// deletePorts removes what ensurePort made.
func (s *session) deletePorts(ctx context.Context, owner string) error {
	have, err := s.portsOf(ctx, owner)
	if err != nil {
		return err
	}
	for _, p := range have {
		err := classify("delete the port "+p.ID, reads, ports.Delete(ctx, s.network, p.ID).ExtractErr())
		if err != nil && !notFound(err) {
			return err
		}
	}
	return nil
}

// deletePort removes one port that its owner made. An absent one is no error;
// one that a server uses is not touched.
func (c *Cloud) deletePort(ctx context.Context, _ *cpi.Step, o *session, args messages.DeletePortArgs) (any, error) {
	for what, id := range map[string]string{"port": args.PortCID, "owner": args.Owner} {
		if err := require(what, id); err != nil {
			return nil, err
		}
	}
	port, err := ports.Get(ctx, o.network, args.PortCID).Extract()
	if err = classify("read the port "+args.PortCID, reads, err); notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch {
	case !o.owns(port.Description, args.Owner):
		return nil, foreign("Port", args.PortCID, args.Owner)
	case port.DeviceID != "":
		return nil, messages.Errorf(messages.CodeCloudConflict, "Port `%s' is in use by the server %s", args.PortCID, port.DeviceID).
			WithHint("delete that server first")
	}
	err = classify("delete the port "+args.PortCID, reads, ports.Delete(ctx, o.network, args.PortCID).ExtractErr())
	if notFound(err) {
		return nil, nil
	}
	return nil, err
}
