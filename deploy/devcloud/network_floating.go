package devcloud

import (
	"net/http"
	"net/netip"
)

// floatingIP is one of Neutron.
type floatingIP struct {
	head
	Address netip.Addr
	PortID  string // "" when it leads nowhere
}

func (f *floatingIP) status() string {
	if f.PortID == "" {
		return "DOWN"
	}
	return "ACTIVE"
}

// associated are the floating IPs that lead somewhere.
func (c *Cloud) associated() map[string]*floatingIP {
	out := map[string]*floatingIP{}
	for id, f := range c.floating {
		if f.PortID != "" {
			out[id] = f
		}
	}
	return out
}

func (c *Cloud) newFloating(ip string) (*floatingIP, error) {
	n := c.networkNamed(External)
	used := map[netip.Addr]bool{}
	for _, f := range c.floating {
		used[f.Address] = true
	}
	address := n.Pool[0]
	if ip == "" {
		for ; used[address]; address = address.Next() {
			if address == n.Pool[1] {
				return nil, neutronError(http.StatusConflict, "IpAddressGenerationFailure", "No more IP addresses available on network %s.", n.ID)
			}
		}
	} else {
		var err error
		if address, err = netip.ParseAddr(ip); err != nil || !n.Subnet.Contains(address) {
			return nil, neutronError(http.StatusBadRequest, "InvalidIpForNetwork", "IP address %s is not a valid IP for any of the subnets on the specified network.", ip)
		}
		if used[address] {
			return nil, neutronError(http.StatusConflict, "IpAddressAlreadyAllocated", "IP address %s already allocated in subnet %s", ip, n.SubnetID)
		}
	}
	f := &floatingIP{head: head{ID: newID(), Tags: []string{}, Created: c.tick()}, Address: address}
	c.floating[f.ID] = f
	return f, nil
}

func (c *Cloud) floatingJSON(f *floatingIP) m {
	out := m{
		"id": f.ID, "floating_ip_address": f.Address.String(), "port_id": nil, "fixed_ip_address": nil, "router_id": nil, "status": f.status(),
		"floating_network_id": c.networkNamed(External).ID, "tenant_id": c.projectID, "project_id": c.projectID, "tags": []string{}, "description": "",
	}
	if p := c.ports[f.PortID]; p != nil {
		out["port_id"], out["fixed_ip_address"] = p.ID, p.Address.String()
	}
	return out
}

type floatingRequest struct {
	FloatingIP struct {
		Network string  `json:"floating_network_id"`
		Address string  `json:"floating_ip_address"`
		PortID  *string `json:"port_id"`
	} `json:"floatingip"`
}

func (c *Cloud) floatingRoutes(private func(string, endpoint), root string) {
	with := func(do func(*floatingIP, *http.Request) (int, any, error)) endpoint {
		return func(r *http.Request) (int, any, error) {
			f, ok := c.floating[r.PathValue("id")]
			if !ok {
				return 0, nil, neutronError(http.StatusNotFound, "FloatingIPNotFound", "Floating IP %s could not be found", r.PathValue("id"))
			}
			return do(f, r)
		}
	}
	private("GET "+root+"/floatingips", func(r *http.Request) (int, any, error) {
		q := r.URL.Query()
		list := listed(c.floating, func(f *floatingIP) bool {
			fixed := ""
			if p := c.ports[f.PortID]; p != nil {
				fixed = p.Address.String()
			}
			return matches(q.Get("floating_ip_address"), f.Address.String()) && matches(q.Get("port_id"), f.PortID) &&
				matches(q.Get("status"), f.status()) && matches(q.Get("fixed_ip_address"), fixed) && matches(q.Get("id"), f.ID)
		})
		list, next, err := page(r, list, 0)
		if err != nil {
			return 0, nil, err
		}
		found := []m{}
		for _, f := range list {
			found = append(found, c.floatingJSON(f))
		}
		return http.StatusOK, c.links(m{"floatingips": found}, "floatingips_links", next), nil
	})
	private("POST "+root+"/floatingips", func(r *http.Request) (int, any, error) {
		var req floatingRequest
		if err := readJSON(r, &req); err != nil {
			return 0, nil, err
		}
		if n, ok := c.networks[req.FloatingIP.Network]; !ok || !n.External {
			return 0, nil, neutronError(http.StatusBadRequest, "BadRequest", "Bad floatingip request: Network %s is not a valid external network.", req.FloatingIP.Network)
		}
		if over(c.o.Quota.FloatingIPs, len(c.floating)+1) {
			return 0, nil, neutronError(http.StatusConflict, "OverQuota", "Quota exceeded for resources: ['floatingip'].")
		}
		f, err := c.newFloating(req.FloatingIP.Address)
		if err != nil {
			return 0, nil, err
		}
		if err := c.associate(f, req.FloatingIP.PortID); err != nil {
			delete(c.floating, f.ID)
			return 0, nil, err
		}
		return http.StatusCreated, m{"floatingip": c.floatingJSON(f)}, nil
	})
	private("GET "+root+"/floatingips/{id}", with(func(f *floatingIP, _ *http.Request) (int, any, error) {
		return http.StatusOK, m{"floatingip": c.floatingJSON(f)}, nil
	}))
	private("PUT "+root+"/floatingips/{id}", with(func(f *floatingIP, r *http.Request) (int, any, error) {
		var req floatingRequest
		if err := readJSON(r, &req); err != nil {
			return 0, nil, err
		}
		if err := c.associate(f, req.FloatingIP.PortID); err != nil {
			return 0, nil, err
		}
		return http.StatusOK, m{"floatingip": c.floatingJSON(f)}, nil
	}))
	private("DELETE "+root+"/floatingips/{id}", with(func(f *floatingIP, _ *http.Request) (int, any, error) {
		delete(c.floating, f.ID)
		return http.StatusNoContent, nil, nil
	}))
}

// associate moves a floating IP, silently away from where it was.
func (c *Cloud) associate(f *floatingIP, portID *string) error {
	id := text(portID)
	if id == "" {
		f.PortID = ""
		return nil
	}
	p, ok := c.ports[id]
	if !ok {
		return noPort(id)
	}
	for _, other := range c.floating {
		if other != f && other.PortID == id {
			return neutronError(http.StatusConflict, "FloatingIPPortAlreadyAssociated",
				"Cannot associate floating IP %s (%s) with port %s using fixed IP %s, as that fixed IP already has a floating IP on external network %s.",
				f.Address, f.ID, id, p.Address, c.networkNamed(External).ID)
		}
	}
	f.PortID = id
	return nil
}
