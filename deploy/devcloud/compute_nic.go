package devcloud

import (
	"encoding/json"
	"net/http"
)

// nic is one entry of a server's networks.
type nic struct {
	UUID    string `json:"uuid"`
	Port    string `json:"port"`
	FixedIP string `json:"fixed_ip"`
}

// wantedNICs reads the networks of a request: a list, "auto" or "none".
func (c *Cloud) wantedNICs(networks json.RawMessage, minor int) ([]nic, error) {
	auto := []nic{{UUID: c.networkNamed(Network).ID}}
	var word string
	var list []nic
	switch {
	case c.o.Second.IsValid() && (len(networks) == 0 || string(networks) == "null" || string(networks) == `"auto"` || string(networks) == "[]"):
		return nil, novaError(http.StatusConflict, "Multiple possible networks found, use a Network ID to be more specific.")
	case len(networks) == 0 || string(networks) == "null":
		if minor >= 37 {
			return nil, novaError(http.StatusBadRequest, "Invalid input for field/attribute server. 'networks' is a required property")
		}
		return auto, nil
	case json.Unmarshal(networks, &word) == nil:
		switch {
		case minor >= 37 && word == "auto":
			return auto, nil
		case minor >= 37 && word == "none":
			return nil, nil
		}
		return nil, novaError(http.StatusBadRequest, "Invalid input for field/attribute networks. Value: %s", word)
	case json.Unmarshal(networks, &list) != nil:
		return nil, novaError(http.StatusBadRequest, "Invalid input for field/attribute networks.")
	}
	if len(list) == 0 {
		return auto, nil
	}
	seen := map[string]bool{}
	for _, n := range list {
		if n.Port == "" {
			if c.networks[n.UUID] == nil {
				return nil, novaError(http.StatusBadRequest, "Network %s could not be found.", n.UUID)
			}
			continue
		}
		p := c.ports[n.Port]
		switch {
		case p == nil:
			return nil, novaError(http.StatusBadRequest, "Port id %s could not be found.", n.Port)
		case p.Device != "" || seen[n.Port]:
			return nil, novaError(http.StatusConflict, "Port %s is still in use.", n.Port)
		}
		seen[n.Port] = true
	}
	return list, nil
}

// wantedGroups turns names or ids into ids.
func (c *Cloud) wantedGroups(groups []reference) ([]string, error) {
	if len(groups) == 0 {
		groups = []reference{{Name: "default"}}
	}
	var out []string
	for _, g := range groups {
		id := c.groupNamed(g.Name)
		if id == "" {
			return nil, novaError(http.StatusBadRequest, "Security group %s not found for project %s.", g.Name, c.projectID)
		}
		out = append(out, id)
	}
	return out, nil
}

// plug gives a server its ports. When one cannot be made, none stays.
func (c *Cloud) plug(r *http.Request, s *server, nics []nic, groups []string) error {
	for _, n := range nics {
		p := c.ports[n.Port]
		if p == nil {
			var err error
			if p, err = c.newPort(r, c.networks[n.UUID], "", n.FixedIP); err != nil {
				c.unplug(s)
				return c.noAddress(n, err)
			}
			p.Ours, p.Groups = true, groups
		}
		p.Device, p.Owner = s.ID, "compute:"+Zone
		s.Ports = append(s.Ports, p.ID)
	}
	return nil
}

// noAddress says in Nova's words why Neutron made no port.
func (c *Cloud) noAddress(n nic, cause error) error {
	for _, p := range c.ports {
		if n.FixedIP != "" && p.Address.String() == n.FixedIP {
			return novaError(http.StatusBadRequest, "Fixed IP address %s is already in use on instance %s.", n.FixedIP, p.Device)
		}
	}
	if over(c.o.Quota.Ports, len(c.ports)+1) {
		return novaError(http.StatusForbidden, "The number of ports exceeds the quota.")
	}
	if n.FixedIP != "" {
		return novaError(http.StatusBadRequest, "Invalid fixed IP Address %s in server request.", n.FixedIP)
	}
	c.o.Log.Debug().Err(cause).Msg("no port for a server")
	return novaError(http.StatusBadRequest, "No fixed IP addresses available for network: %s", n.UUID)
}

// unplug frees a server's ports; those that were made with it go.
func (c *Cloud) unplug(s *server) {
	for _, id := range append([]string{}, s.Ports...) {
		p := c.ports[id]
		if p == nil {
			continue
		}
		if p.Ours {
			c.dropPort(p)
			continue
		}
		p.Device, p.Owner = "", ""
	}
	s.Ports = nil
}

// addresses are a server's, by network, as Nova shows them.
func (c *Cloud) addresses(s *server) m {
	out := m{}
	for _, id := range s.Ports {
		p := c.ports[id]
		if p == nil {
			continue
		}
		name := c.networks[p.NetworkID].Name
		list, _ := out[name].([]m)
		list = append(list, m{"addr": p.Address.String(), "version": 4, "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": p.MAC})
		for _, f := range oldest(c.floating) {
			if f.PortID == id {
				list = append(list, m{"addr": f.Address.String(), "version": 4, "OS-EXT-IPS:type": "floating", "OS-EXT-IPS-MAC:mac_addr": p.MAC})
			}
		}
		out[name] = list
	}
	return out
}
