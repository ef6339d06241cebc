package devcloud

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"
)

type port struct {
	ID, Name, IP, Device string
	Tags                 []string
	Groups               []string
	Created              time.Time
	hidden               int
}

func (p *port) createdAt() time.Time { return p.Created }

type floatingIP struct{ ID, Address, PortID string }

func (f *floatingIP) createdAt() time.Time { return time.Unix(int64(f.Address[len(f.Address)-1]), 0) }

func (c *Cloud) portJSON(p *port) map[string]any {
	sum := sha256.Sum256([]byte(p.ID))
	return map[string]any{
		"id": p.ID, "name": p.Name, "network_id": c.networkID, "device_id": p.Device, "device_owner": "", "status": "ACTIVE",
		"admin_state_up": true, "mac_address": fmt.Sprintf("fa:16:3e:%02x:%02x:%02x", sum[0], sum[1], sum[2]), "tenant_id": c.projectID,
		"fixed_ips": []any{map[string]string{"subnet_id": c.subnetID, "ip_address": p.IP}}, "security_groups": p.Groups, "tags": p.Tags,
		"allowed_address_pairs": []any{},
	}
}

func (c *Cloud) floatingJSON(f *floatingIP) map[string]any {
	out := map[string]any{
		"id": f.ID, "floating_ip_address": f.Address, "port_id": nil, "fixed_ip_address": nil, "status": "DOWN",
		"floating_network_id": c.networkID, "tenant_id": c.projectID, "router_id": "", "tags": []string{},
	}
	if p := c.ports[f.PortID]; p != nil {
		out["port_id"], out["fixed_ip_address"], out["status"] = p.ID, p.IP, "ACTIVE"
	}
	return out
}

func groups() []map[string]any {
	var out []map[string]any
	for i, name := range []string{"default", "bosh"} {
		out = append(out, map[string]any{
			"id": fmt.Sprintf("00000000-0000-4000-8000-00000000000%d", i+1), "name": name, "description": "", "security_group_rules": []any{}, "tenant_id": "demo",
		})
	}
	return out
}

func (c *Cloud) neutron(private func(string, handle)) {
	const root = "/network/v2.0"
	list := func(key string, items func(*http.Request) []any) handle {
		return func(r *http.Request) (int, any, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			return http.StatusOK, map[string]any{key: items(r)}, nil
		}
	}
	network := func() map[string]any {
		return map[string]any{"id": c.networkID, "name": Network, "status": "ACTIVE", "admin_state_up": true, "subnets": []string{c.subnetID}, "tenant_id": c.projectID, "shared": true}
	}
	private("GET "+root+"/networks", list("networks", func(r *http.Request) []any {
		if name := r.URL.Query().Get("name"); name != "" && name != Network {
			return []any{}
		}
		return []any{network()}
	}))
	private("GET "+root+"/networks/{id}", func(r *http.Request) (int, any, error) {
		if r.PathValue("id") != c.networkID {
			return 0, nil, neutronError(http.StatusNotFound, "NetworkNotFound", "Network %s could not be found.", r.PathValue("id"))
		}
		return http.StatusOK, map[string]any{"network": network()}, nil
	})
	private("GET "+root+"/subnets", list("subnets", func(*http.Request) []any {
		return []any{map[string]any{
			"id": c.subnetID, "name": "private-subnet", "network_id": c.networkID, "cidr": c.o.Subnet.String(), "ip_version": 4,
			"gateway_ip": c.o.Subnet.Addr().Next().String(), "enable_dhcp": true, "dns_nameservers": []string{}, "allocation_pools": []any{}, "host_routes": []any{}, "tenant_id": c.projectID,
		}}
	}))
	private("GET "+root+"/security-groups", list("security_groups", func(r *http.Request) []any {
		out := []any{}
		for _, g := range groups() {
			if name := r.URL.Query().Get("name"); name == "" || name == g["name"] {
				out = append(out, g)
			}
		}
		return out
	}))
	private("GET "+root+"/floatingips", list("floatingips", func(r *http.Request) []any {
		out := []any{}
		for _, f := range sorted(c.floating) {
			q := r.URL.Query()
			if address := q.Get("floating_ip_address"); address != "" && address != f.Address {
				continue
			}
			if id := q.Get("port_id"); id != "" && id != f.PortID {
				continue
			}
			out = append(out, c.floatingJSON(f))
		}
		return out
	}))
	private("GET "+root+"/ports", list("ports", c.listPorts))
	private("POST "+root+"/ports", c.createPort)
	private("GET "+root+"/ports/{id}", c.withPort(func(p *port, _ *http.Request) (int, any, error) {
		return http.StatusOK, map[string]any{"port": c.portJSON(p)}, nil
	}))
	private("DELETE "+root+"/ports/{id}", c.withPort(func(p *port, _ *http.Request) (int, any, error) {
		if p.Device != "" {
			return 0, nil, neutronError(http.StatusConflict, "PortInUse", "Port %s is in use by %s.", p.ID, p.Device)
		}
		c.unfloat(p.ID)
		delete(c.ports, p.ID)
		return http.StatusNoContent, nil, nil
	}))
	private("PUT "+root+"/ports/{id}/tags", c.withPort(func(p *port, r *http.Request) (int, any, error) {
		var req struct {
			Tags []string `json:"tags"`
		}
		if err := readJSON(r, &req); err != nil {
			return 0, nil, err
		}
		p.Tags = req.Tags
		return http.StatusOK, map[string]any{"tags": p.Tags}, nil
	}))
	private("PUT "+root+"/floatingips/{id}", c.associate)
	private("GET "+root+"/extensions", list("extensions", func(*http.Request) []any {
		return []any{map[string]string{"alias": "standard-attr-tag", "name": "Tag"}}
	}))
	private("GET "+root+"/quotas/{id}", func(*http.Request) (int, any, error) {
		return http.StatusOK, map[string]any{"quota": map[string]int{"port": 1000, "floatingip": 50, "network": 100}}, nil
	})
}

func (c *Cloud) withPort(h func(*port, *http.Request) (int, any, error)) handle {
	return func(r *http.Request) (int, any, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		p, ok := c.ports[r.PathValue("id")]
		if !ok {
			return 0, nil, neutronError(http.StatusNotFound, "PortNotFound", "Port %s could not be found.", r.PathValue("id"))
		}
		return h(p, r)
	}
}

func (c *Cloud) listPorts(r *http.Request) []any {
	q := r.URL.Query()
	out := []any{}
	for _, p := range sorted(c.ports) {
		if p.hidden > 0 {
			p.hidden--
			continue
		}
		if (q.Get("name") != "" && q.Get("name") != p.Name) || (q.Get("device_id") != "" && q.Get("device_id") != p.Device) {
			continue
		}
		if q.Get("tags") != "" && !hasAll(p.Tags, q.Get("tags")) {
			continue
		}
		if slices.ContainsFunc(q["fixed_ips"], func(want string) bool { return want != "ip_address="+p.IP }) {
			continue
		}
		out = append(out, c.portJSON(p))
	}
	return out
}

func (c *Cloud) createPort(r *http.Request) (int, any, error) {
	var req struct {
		Port struct {
			Name     string   `json:"name"`
			Network  string   `json:"network_id"`
			Groups   []string `json:"security_groups"`
			FixedIPs []struct {
				IP string `json:"ip_address"`
			} `json:"fixed_ips"`
		} `json:"port"`
	}
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	if req.Port.Network != c.networkID {
		return 0, nil, neutronError(http.StatusNotFound, "NetworkNotFound", "Network %s could not be found.", req.Port.Network)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ip := ""
	if len(req.Port.FixedIPs) > 0 {
		ip = req.Port.FixedIPs[0].IP
	}
	p, err := c.newPort(req.Port.Name, ip)
	if err != nil {
		return 0, nil, err
	}
	p.Groups, p.hidden = req.Port.Groups, hidden(r)
	return http.StatusCreated, map[string]any{"port": c.portJSON(p)}, nil
}

// newPort gives a port the address, or the next free one. The caller holds the
// mutex.
func (c *Cloud) newPort(name, ip string) (*port, error) {
	used := map[string]bool{}
	for _, p := range c.ports {
		used[p.IP] = true
	}
	if ip == "" {
		address := c.o.Subnet.Addr().Next().Next() // the first is the gateway's
		for ; used[address.String()]; address = address.Next() {
			if !c.o.Subnet.Contains(address) {
				return nil, neutronError(http.StatusConflict, "IpAddressGenerationFailure", "No more IP addresses available on network %s.", c.networkID)
			}
		}
		ip = address.String()
	} else {
		address, err := netip.ParseAddr(ip)
		if err != nil || !c.o.Subnet.Contains(address) {
			return nil, neutronError(http.StatusBadRequest, "InvalidIpForNetwork", "IP address %s is not a valid IP for any of the subnets on the specified network.", ip)
		}
		if used[ip] {
			return nil, neutronError(http.StatusConflict, "IpAddressAlreadyAllocated", "IP address %s already allocated in subnet %s", ip, c.subnetID)
		}
	}
	p := &port{ID: uuid.NewString(), Name: name, IP: ip, Tags: []string{}, Created: c.tick()}
	c.ports[p.ID] = p
	return p, nil
}

// plug gives a server its ports. The caller holds the mutex.
func (c *Cloud) plug(s *server, networks any) error {
	list, _ := networks.([]any)
	if len(list) == 0 {
		list = []any{map[string]any{"uuid": c.networkID}}
	}
	for _, item := range list {
		nic, _ := item.(map[string]any)
		if id, _ := nic["port"].(string); id != "" {
			p := c.ports[id]
			if p == nil {
				return novaError(http.StatusBadRequest, "Port %s could not be found.", id)
			}
			if p.Device != "" {
				return novaError(http.StatusConflict, "Port %s is still in use.", id)
			}
			p.Device = s.ID
			s.PortIDs = append(s.PortIDs, id)
			continue
		}
		if id, _ := nic["uuid"].(string); id != c.networkID {
			return novaError(http.StatusBadRequest, "Network %s could not be found.", id)
		}
		ip, _ := nic["fixed_ip"].(string)
		p, err := c.newPort("", ip)
		if err != nil {
			return novaError(http.StatusConflict, "Fixed IP address %s is already in use on instance.", ip)
		}
		p.Device = s.ID
		s.PortIDs, s.ownPorts = append(s.PortIDs, p.ID), append(s.ownPorts, p.ID)
	}
	return nil
}

func (c *Cloud) fixed(s *server) []string {
	var out []string
	for _, id := range s.PortIDs {
		if p := c.ports[id]; p != nil {
			out = append(out, p.IP)
		}
	}
	return out
}

func (c *Cloud) addresses(s *server) map[string]any {
	var list []any
	for _, id := range s.PortIDs {
		p := c.ports[id]
		if p == nil {
			continue
		}
		entry := func(address, kind string) map[string]any {
			return map[string]any{"addr": address, "version": 4, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01"}
		}
		list = append(list, entry(p.IP, "fixed"))
		for _, f := range sorted(c.floating) {
			if f.PortID == id {
				list = append(list, entry(f.Address, "floating"))
			}
		}
	}
	return map[string]any{Network: list}
}

// unfloat takes a port's floating IPs away. The caller holds the mutex.
func (c *Cloud) unfloat(portID string) {
	for _, f := range c.floating {
		if f.PortID == portID {
			f.PortID = ""
		}
	}
}

func (c *Cloud) associate(r *http.Request) (int, any, error) {
	var req struct {
		FloatingIP struct {
			PortID *string `json:"port_id"`
		} `json:"floatingip"`
	}
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.floating[r.PathValue("id")]
	if !ok {
		return 0, nil, neutronError(http.StatusNotFound, "FloatingIPNotFound", "Floating IP %s could not be found", r.PathValue("id"))
	}
	f.PortID = ""
	if id := req.FloatingIP.PortID; id != nil && *id != "" {
		if c.ports[*id] == nil {
			return 0, nil, neutronError(http.StatusNotFound, "PortNotFound", "Port %s could not be found.", *id)
		}
		f.PortID = *id
	}
	return http.StatusOK, map[string]any{"floatingip": c.floatingJSON(f)}, nil
}
