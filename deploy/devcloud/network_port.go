package devcloud

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// port is one of Neutron with its one fixed address.
type port struct {
	head
	NetworkID   string
	Address     netip.Addr
	MAC         string
	Device      string // id of the server that has it
	Owner       string // compute:nova then
	Ours        bool   // made by Nova with the server, and gone with it
	Description string
	Groups      []string
	Pairs       []any // allowed address pairs
}

func (p *port) status() string {
	if p.Device == "" {
		return "DOWN"
	}
	return "ACTIVE"
}

func (c *Cloud) portJSON(p *port) m {
	pairs := p.Pairs
	if pairs == nil {
		pairs = []any{}
	}
	return m{
		"id": p.ID, "name": p.Name, "description": p.Description, "network_id": p.NetworkID, "device_id": p.Device, "device_owner": p.Owner,
		"status": p.status(), "admin_state_up": true, "mac_address": p.MAC, "tenant_id": c.projectID, "project_id": c.projectID,
		"fixed_ips":       []m{{"subnet_id": c.networks[p.NetworkID].SubnetID, "ip_address": p.Address.String()}},
		"security_groups": slices.Clone(p.Groups), "tags": slices.Clone(p.Tags), "allowed_address_pairs": pairs,
		"port_security_enabled": true, "binding:vnic_type": "normal", "created_at": p.Created.Format("2006-01-02T15:04:05Z"),
		"updated_at": p.Created.Format("2006-01-02T15:04:05Z"), "revision_number": 1,
	}
}

func (c *Cloud) portRoutes(private func(string, endpoint), root string) {
	with := func(do func(*port, *http.Request) (int, any, error)) endpoint {
		return func(r *http.Request) (int, any, error) {
			p, ok := c.ports[r.PathValue("id")]
			if !ok {
				return 0, nil, noPort(r.PathValue("id"))
			}
			return do(p, r)
		}
	}
	private("POST "+root+"/ports", c.createPort)
	private("GET "+root+"/ports", c.listPorts)
	private("GET "+root+"/ports/{id}", with(func(p *port, _ *http.Request) (int, any, error) {
		return http.StatusOK, m{"port": c.portJSON(p)}, nil
	}))
	private("PUT "+root+"/ports/{id}", with(c.updatePort))
	private("DELETE "+root+"/ports/{id}", with(func(p *port, _ *http.Request) (int, any, error) {
		c.dropPort(p)
		return http.StatusNoContent, nil, nil
	}))
	private("GET "+root+"/ports/{id}/tags", with(func(p *port, _ *http.Request) (int, any, error) {
		return http.StatusOK, m{"tags": slices.Clone(p.Tags)}, nil
	}))
	private("PUT "+root+"/ports/{id}/tags", with(func(p *port, r *http.Request) (int, any, error) {
		var req struct {
			Tags []string `json:"tags"`
		}
		if err := readJSON(r, &req); err != nil {
			return 0, nil, err
		}
		p.Tags = unique(req.Tags)
		return http.StatusOK, m{"tags": slices.Clone(p.Tags)}, nil
	}))
	private("PUT "+root+"/ports/{id}/tags/{tag}", with(func(p *port, r *http.Request) (int, any, error) {
		p.Tags = unique(append(p.Tags, r.PathValue("tag")))
		return http.StatusCreated, nil, nil
	}))
	private("DELETE "+root+"/ports/{id}/tags/{tag}", with(func(p *port, r *http.Request) (int, any, error) {
		at := slices.Index(p.Tags, r.PathValue("tag"))
		if at < 0 {
			return 0, nil, neutronError(http.StatusNotFound, "TagNotFound", "Tag %s could not be found.", r.PathValue("tag"))
		}
		p.Tags = slices.Delete(p.Tags, at, at+1)
		return http.StatusNoContent, nil, nil
	}))
}

func noPort(id string) error {
	return neutronError(http.StatusNotFound, "PortNotFound", "Port %s could not be found.", id)
}

type portRequest struct {
	Port struct {
		Name        *string   `json:"name"`
		Description *string   `json:"description"`
		Network     string    `json:"network_id"`
		Device      *string   `json:"device_id"`
		Owner       *string   `json:"device_owner"`
		Groups      *[]string `json:"security_groups"`
		Pairs       *[]any    `json:"allowed_address_pairs"`
		Tags        any       `json:"tags"`
		FixedIPs    []struct {
			IP     string `json:"ip_address"`
			Subnet string `json:"subnet_id"`
		} `json:"fixed_ips"`
	} `json:"port"`
}

func (c *Cloud) createPort(r *http.Request) (int, any, error) {
	var req portRequest
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	want := req.Port
	if want.Tags != nil {
		return 0, nil, neutronError(http.StatusBadRequest, "HTTPBadRequest", "Unrecognized attribute(s) 'tags'")
	}
	n, ok := c.networks[want.Network]
	if !ok {
		return 0, nil, noNetwork(want.Network)
	}
	groups := []string{c.groupNamed("default")}
	if want.Groups != nil {
		groups = *want.Groups
	}
	for _, id := range groups {
		if c.groups[id] == nil {
			return 0, nil, noGroup(id)
		}
	}
	ip := ""
	if len(want.FixedIPs) > 0 {
		if s := want.FixedIPs[0].Subnet; s != "" && s != n.SubnetID {
			return 0, nil, neutronError(http.StatusBadRequest, "InvalidInput", "Invalid input for operation: Failed to create port on network %s, because fixed_ips included invalid subnet %s.", n.ID, s)
		}
		ip = want.FixedIPs[0].IP
	}
	p, err := c.newPort(r, n, text(want.Name), ip)
	if err != nil {
		return 0, nil, err
	}
	p.Description, p.Device, p.Owner, p.Groups = text(want.Description), text(want.Device), text(want.Owner), groups
	if want.Pairs != nil {
		p.Pairs = *want.Pairs
	}
	return http.StatusCreated, m{"port": c.portJSON(p)}, nil
}

// newPort gives a port the address, or the next free one.
func (c *Cloud) newPort(r *http.Request, n *network, name, ip string) (*port, error) {
	if over(c.o.Quota.Ports, len(c.ports)+1) {
		return nil, neutronError(http.StatusConflict, "OverQuota", "Quota exceeded for resources: ['port'].")
	}
	used := map[netip.Addr]bool{}
	for _, p := range c.ports {
		used[p.Address] = true
	}
	var address netip.Addr
	if ip == "" {
		for address = n.Pool[0]; used[address]; address = address.Next() {
			if address == n.Pool[1] {
				return nil, neutronError(http.StatusConflict, "IpAddressGenerationFailure", "No more IP addresses available on network %s.", n.ID)
			}
		}
	} else {
		var err error
		if address, err = netip.ParseAddr(ip); err != nil || !n.Subnet.Contains(address) {
			return nil, neutronError(http.StatusBadRequest, "InvalidIpForNetwork", "IP address %s is not a valid IP for any of the subnets on the specified network.", ip)
		}
		if used[address] || address == n.Subnet.Addr().Next() {
			return nil, neutronError(http.StatusConflict, "IpAddressAlreadyAllocated", "IP address %s already allocated in subnet %s", ip, n.SubnetID)
		}
	}
	p := &port{head: c.begin(r, newID(), name), NetworkID: n.ID, Address: address, Groups: []string{}}
	b := address.As4()
	p.MAC = fmt.Sprintf("fa:16:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
	c.ports[p.ID] = p
	return p, nil
}

func (c *Cloud) listPorts(r *http.Request) (int, any, error) {
	q := r.URL.Query()
	addresses := fixedIPFilter(q["fixed_ips"])
	list := listed(c.ports, func(p *port) bool {
		ok := matches(q.Get("name"), p.Name) && matches(q.Get("device_id"), p.Device) && matches(q.Get("network_id"), p.NetworkID) &&
			matches(q.Get("status"), p.status()) && matches(q.Get("device_owner"), p.Owner) && matches(q.Get("id"), p.ID) &&
			matches(q.Get("mac_address"), p.MAC) && matches(q.Get("description"), p.Description)
		if tags := q.Get("tags"); ok && tags != "" {
			ok = hasAll(p.Tags, tags)
		}
		if tags := q.Get("tags-any"); ok && tags != "" {
			ok = hasAny(p.Tags, tags)
		}
		return ok && (len(addresses) == 0 || slices.Contains(addresses, p.Address.String()))
	})
	list, next, err := page(r, list, 0)
	if err != nil {
		return 0, nil, err
	}
	found := []m{}
	for _, p := range list {
		found = append(found, c.portJSON(p))
	}
	return http.StatusOK, c.links(m{"ports": found}, "ports_links", next), nil
}

// fixedIPFilter takes the addresses from filters like ip_address=10.0.0.4.
func fixedIPFilter(filters []string) []string {
	var out []string
	for _, f := range filters {
		for part := range strings.SplitSeq(f, ",") {
			if ip, ok := strings.CutPrefix(part, "ip_address="); ok {
				out = append(out, ip)
			}
		}
	}
	return out
}

func (c *Cloud) updatePort(p *port, r *http.Request) (int, any, error) {
	var req portRequest
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	for to, from := range map[*string]*string{&p.Name: req.Port.Name, &p.Description: req.Port.Description, &p.Device: req.Port.Device, &p.Owner: req.Port.Owner} {
		if from != nil {
			*to = *from
		}
	}
	if req.Port.Groups != nil {
		for _, id := range *req.Port.Groups {
			if c.groups[id] == nil {
				return 0, nil, noGroup(id)
			}
		}
		p.Groups = *req.Port.Groups
	}
	if req.Port.Pairs != nil {
		p.Pairs = *req.Port.Pairs
	}
	return http.StatusOK, m{"port": c.portJSON(p)}, nil
}

// dropPort removes a port; what pointed to it points nowhere.
func (c *Cloud) dropPort(p *port) {
	for _, f := range c.floating {
		if f.PortID == p.ID {
			f.PortID = ""
		}
	}
	if s := c.servers[p.Device]; s != nil {
		s.Ports = slices.DeleteFunc(s.Ports, func(id string) bool { return id == p.ID })
	}
	delete(c.ports, p.ID)
}
