package devcloud

import (
	"net/http"
	"net/netip"
)

// network is one of Neutron with its one subnet.
type network struct {
	head
	SubnetID string
	Subnet   netip.Prefix
	Pool     [2]netip.Addr // first and last address that is given away
	External bool
}

// floatingCount is how many floating IPs a fresh project has.
const floatingCount = 4

// seedNetworks makes a private network and an external one with floating IPs.
func (c *Cloud) seedNetworks() {
	for _, n := range []*network{
		{head: head{Name: External}, Subnet: c.o.External, External: true},
		{head: head{Name: Network}, Subnet: c.o.Subnet},
		{head: head{Name: SecondNet}, Subnet: c.o.Second},
	} {
		if !n.Subnet.IsValid() {
			continue
		}
		first, last := n.Subnet.Addr().As4(), lastAddress(n.Subnet)
		first[3] = 10
		n.Pool = [2]netip.Addr{netip.AddrFrom4(first), last.Prev()}
		n.ID, n.SubnetID, n.Tags, n.Created = newID(), newID(), []string{}, c.tick()
		c.networks[n.ID] = n
	}
	for range floatingCount {
		if _, err := c.newFloating(""); err != nil {
			break
		}
	}
	for _, name := range []string{"default", "bosh"} {
		g := &securityGroup{head: head{ID: newID(), Name: name, Tags: []string{}, Created: c.tick()}}
		c.groups[g.ID] = g
	}
}

func lastAddress(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(b)
}

func (c *Cloud) networkNamed(name string) *network {
	for _, n := range c.networks {
		if n.Name == name {
			return n
		}
	}
	return &network{}
}

func (c *Cloud) networkJSON(n *network) m {
	return m{
		"id": n.ID, "name": n.Name, "status": "ACTIVE", "admin_state_up": true, "subnets": []string{n.SubnetID}, "shared": false,
		"tenant_id": c.projectID, "project_id": c.projectID, "router:external": n.External, "mtu": 1500, "port_security_enabled": true,
		"availability_zones": []string{Zone}, "tags": []string{}, "description": "",
	}
}

func (c *Cloud) subnetJSON(n *network) m {
	return m{
		"id": n.SubnetID, "name": n.Name + "-subnet", "network_id": n.ID, "cidr": n.Subnet.String(), "ip_version": 4,
		"gateway_ip": n.Subnet.Addr().Next().String(), "enable_dhcp": !n.External, "dns_nameservers": []string{}, "host_routes": []m{},
		"allocation_pools": []m{{"start": n.Pool[0].String(), "end": n.Pool[1].String()}}, "tenant_id": c.projectID,
		"project_id": c.projectID, "tags": []string{}, "description": "",
	}
}

func (c *Cloud) networkRoutes(open, private func(string, endpoint)) {
	versions := func(*http.Request) (int, any, error) {
		return http.StatusOK, m{"versions": []m{{
			"id": "v2.0", "status": "CURRENT", "links": []m{{"rel": "self", "href": c.URL() + "/network/v2.0/"}},
		}}}, nil
	}
	open("GET /network", versions)
	open("GET /network/{$}", versions)
	const root = "/network/v2.0"
	private("GET "+root+"/networks", func(r *http.Request) (int, any, error) {
		q := r.URL.Query()
		found := []m{}
		for _, n := range listed(c.networks, func(n *network) bool {
			external := q.Get("router:external")
			return matches(q.Get("name"), n.Name) && matches(q.Get("id"), n.ID) && (external == "" || (external == "true" || external == "True") == n.External)
		}) {
			found = append(found, c.networkJSON(n))
		}
		return http.StatusOK, m{"networks": found}, nil
	})
	private("GET "+root+"/networks/{id}", func(r *http.Request) (int, any, error) {
		n, ok := c.networks[r.PathValue("id")]
		if !ok {
			return 0, nil, noNetwork(r.PathValue("id"))
		}
		return http.StatusOK, m{"network": c.networkJSON(n)}, nil
	})
	private("GET "+root+"/subnets", func(r *http.Request) (int, any, error) {
		q := r.URL.Query()
		found := []m{}
		for _, n := range listed(c.networks, func(n *network) bool {
			return matches(q.Get("network_id"), n.ID) && matches(q.Get("id"), n.SubnetID) && matches(q.Get("name"), n.Name+"-subnet") && matches(q.Get("cidr"), n.Subnet.String())
		}) {
			found = append(found, c.subnetJSON(n))
		}
		return http.StatusOK, m{"subnets": found}, nil
	})
	private("GET "+root+"/subnets/{id}", func(r *http.Request) (int, any, error) {
		for _, n := range c.networks {
			if n.SubnetID == r.PathValue("id") {
				return http.StatusOK, m{"subnet": c.subnetJSON(n)}, nil
			}
		}
		return 0, nil, neutronError(http.StatusNotFound, "SubnetNotFound", "Subnet %s could not be found.", r.PathValue("id"))
	})
	private("GET "+root+"/extensions", func(*http.Request) (int, any, error) {
		found := []m{}
		for _, e := range extensions() {
			found = append(found, e.json())
		}
		return http.StatusOK, m{"extensions": found}, nil
	})
	private("GET "+root+"/extensions/{alias}", func(r *http.Request) (int, any, error) {
		for _, e := range extensions() {
			if e.alias == r.PathValue("alias") {
				return http.StatusOK, m{"extension": e.json()}, nil
			}
		}
		return 0, nil, neutronError(http.StatusNotFound, "ExtensionNotFound", "Extension with alias %s does not exist", r.PathValue("alias"))
	})
	private("GET "+root+"/quotas/{project}", func(*http.Request) (int, any, error) {
		q := c.o.Quota
		return http.StatusOK, m{"quota": m{
			"port": q.Ports, "floatingip": q.FloatingIPs, "security_group": q.SecurityGroups, "network": 100, "subnet": 100, "router": 10,
			"security_group_rule": 100,
		}}, nil
	})
	c.portRoutes(private, root)
	c.groupRoutes(private, root)
	c.floatingRoutes(private, root)
}

func noNetwork(id string) error {
	return neutronError(http.StatusNotFound, "NetworkNotFound", "Network %s could not be found.", id)
}

type extension struct{ alias, name string }

func extensions() []extension {
	return []extension{
		{"security-group", "security-group"}, {"standard-attr-tag", "Tag support for resources with standard attribute: port"},
		{"router", "Neutron L3 Router"}, {"external-net", "Neutron external network"}, {"quotas", "Quota management support"},
		{"binding", "Port Binding"}, {"port-security", "Port Security"}, {"allowed-address-pairs", "Allowed Address Pairs"},
	}
}

func (e extension) json() m {
	return m{"alias": e.alias, "name": e.name, "description": e.name, "updated": "2017-01-01T00:00:00-00:00", "links": []m{}}
}
