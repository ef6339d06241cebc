package devcloud

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

func (c *Cloud) serverRoutes(private func(string, endpoint), root string) {
	private("POST "+root+"/servers", c.createServer)
	private("GET "+root+"/servers", c.listServers(false))
	private("GET "+root+"/servers/detail", c.listServers(true))
	private("GET "+root+"/servers/{id}", c.withServer(func(s *server, r *http.Request) (int, any, error) {
		return http.StatusOK, m{"server": c.serverJSON(s, r)}, nil
	}))
	private("PUT "+root+"/servers/{id}", c.withServer(c.updateServer))
	private("DELETE "+root+"/servers/{id}", c.withServer(c.deleteServer))
	private("POST "+root+"/servers/{id}/action", c.withServer(c.serverAction))
	private("GET "+root+"/servers/{id}/ips", c.withServer(func(s *server, _ *http.Request) (int, any, error) {
		return http.StatusOK, m{"addresses": c.addresses(s)}, nil
	}))
	private("GET "+root+"/servers/{id}/os-interface", c.withServer(func(s *server, _ *http.Request) (int, any, error) {
		found := []m{}
		for _, id := range s.Ports {
			if p := c.ports[id]; p != nil {
				found = append(found, m{
					"port_id": p.ID, "net_id": p.NetworkID, "mac_addr": p.MAC, "port_state": p.status(),
					"fixed_ips": []m{{"ip_address": p.Address.String(), "subnet_id": c.networks[p.NetworkID].SubnetID}},
				})
			}
		}
		return http.StatusOK, m{"interfaceAttachments": found}, nil
	}))
	metadata(private, root+"/servers", func(id string) (map[string]string, error) {
		if s, ok := c.servers[id]; ok {
			return s.Metadata, nil
		}
		return nil, noServer(id)
	})
	c.tagRoutes(private, root)
}

func noServer(id string) error {
	return novaError(http.StatusNotFound, "Instance %s could not be found.", id)
}

func (c *Cloud) withServer(do func(*server, *http.Request) (int, any, error)) endpoint {
	return func(r *http.Request) (int, any, error) {
		s, ok := c.servers[r.PathValue("id")]
		if !ok {
			return 0, nil, noServer(r.PathValue("id"))
		}
		return do(s, r)
	}
}

func (c *Cloud) serverLinks(s *server) []m {
	return []m{{"rel": "self", "href": c.URL() + "/compute/v2.1/servers/" + s.ID}, {"rel": "bookmark", "href": c.URL() + "/compute/servers/" + s.ID}}
}

func (c *Cloud) serverJSON(s *server, r *http.Request) m {
	minor, err := microversion(r)
	if err != nil {
		minor = 1
	}
	groups := []m{}
	seen := map[string]bool{}
	for _, id := range s.Ports {
		if p := c.ports[id]; p != nil {
			for _, g := range p.Groups {
				if group := c.groups[g]; group != nil && !seen[g] {
					seen[g] = true
					groups = append(groups, m{"name": group.Name})
				}
			}
		}
	}
	volumes := []m{}
	for _, a := range s.Volumes {
		entry := m{"id": a.Volume}
		if minor >= 3 {
			entry["delete_on_termination"] = a.Delete
		}
		volumes = append(volumes, entry)
	}
	state, power := map[string]string{"ACTIVE": "active", "BUILD": "building", "SHUTOFF": "stopped", "ERROR": "error"}[s.Status], 0
	if state == "" {
		state = "active"
	}
	switch {
	case state == "active":
		power = 1
	case state == "stopped":
		power = 4
	}
	image := any(m{"id": s.ImageID, "links": []m{}})
	if slices.ContainsFunc(s.Volumes, func(a attachment) bool { return a.Root }) {
		image = "" // Nova's way to say that it boots from a volume
	}
	drive := ""
	if s.ConfigDrive {
		drive = "True"
	}
	out := m{
		"id": s.ID, "name": s.Name, "status": s.Status, "metadata": copied(s.Metadata), "addresses": c.addresses(s), "key_name": orNull(s.Key),
		"image": image, "tenant_id": c.projectID, "user_id": userID, "hostId": "devcloud", "config_drive": drive,
		"created": s.Created.Format(time.RFC3339), "updated": s.Updated.Format(time.RFC3339), "links": c.serverLinks(s), "progress": 0,
		"security_groups": groups, "accessIPv4": "", "accessIPv6": "", "OS-DCF:diskConfig": "MANUAL", "OS-EXT-AZ:availability_zone": Zone,
		"OS-EXT-STS:task_state": orNull(s.Task), "OS-EXT-STS:vm_state": state, "OS-EXT-STS:power_state": power,
		"OS-SRV-USG:launched_at": nil, "OS-SRV-USG:terminated_at": nil, "os-extended-volumes:volumes_attached": volumes,
	}
	if s.Status == "ACTIVE" {
		out["progress"], out["OS-SRV-USG:launched_at"] = 100, s.Updated.Format(cinderTime)
	}
	if minor >= 9 {
		out["locked"] = false
	}
	if minor >= 19 {
		out["description"] = orNull(s.Description)
	}
	if minor >= 26 {
		out["tags"] = slices.Clone(s.Tags)
	}
	if f := s.Flavor; minor >= 47 {
		out["flavor"] = m{"original_name": f.Name, "ram": f.RAM, "vcpus": f.VCPUs, "disk": f.Disk, "ephemeral": f.Ephemeral, "swap": f.Swp, "extra_specs": m{}}
	} else {
		out["flavor"] = m{"id": f.ID, "links": []m{}}
	}
	if s.Fault != "" && (s.Status == "ERROR" || s.Status == "DELETED") {
		out["fault"] = m{"code": 500, "message": s.Fault, "created": s.FaultAt.Format(time.RFC3339)}
	}
	return out
}

func (c *Cloud) listServers(detail bool) endpoint {
	return func(r *http.Request) (int, any, error) {
		q := r.URL.Query()
		name, err := regexp.Compile(q.Get("name"))
		if err != nil {
			return 0, nil, novaError(http.StatusBadRequest, "Invalid filter: name is no regular expression")
		}
		minor, err := microversion(r)
		if err != nil {
			return 0, nil, err
		}
		tags := func(s *server) bool {
			if minor < 26 { // the filter is not known yet, and so ignored
				return true
			}
			all, some, notAll, notAny := q.Get("tags"), q.Get("tags-any"), q.Get("not-tags"), q.Get("not-tags-any")
			return (all == "" || hasAll(s.Tags, all)) && (some == "" || hasAny(s.Tags, some)) &&
				(notAll == "" || !hasAll(s.Tags, notAll)) && (notAny == "" || !hasAny(s.Tags, notAny))
		}
		list := listed(c.servers, func(s *server) bool {
			status := strings.ToUpper(q.Get("status"))
			return name.MatchString(s.Name) && matches(status, s.Status) && tags(s) && matches(q.Get("image"), s.ImageID) &&
				matches(q.Get("flavor"), s.Flavor.ID) && matches(q.Get("uuid"), s.ID) && matches(q.Get("availability_zone"), Zone)
		})
		list, next, err := page(r, list, 1000)
		if err != nil {
			return 0, nil, err
		}
		found := []m{}
		for _, s := range list {
			if detail {
				found = append(found, c.serverJSON(s, r))
			} else {
				found = append(found, m{"id": s.ID, "name": s.Name, "links": c.serverLinks(s)})
			}
		}
		return http.StatusOK, c.links(m{"servers": found}, "servers_links", next), nil
	}
}

func (c *Cloud) updateServer(s *server, r *http.Request) (int, any, error) {
	var req struct {
		Server struct {
			Name        *string `json:"name"`
			Description *string `json:"description"`
		} `json:"server"`
	}
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	if name := req.Server.Name; name != nil {
		if *name == "" || len(*name) > 255 {
			return 0, nil, novaError(http.StatusBadRequest, "Invalid input for field/attribute name. Value: %s. '%s' is too short or too long", *name, *name)
		}
		s.Name = *name
	}
	if req.Server.Description != nil {
		s.Description = *req.Server.Description
	}
	s.Updated = c.tick()
	return http.StatusOK, m{"server": c.serverJSON(s, r)}, nil
}

func (c *Cloud) tagRoutes(private func(string, endpoint), root string) {
	with := func(do func(*server, *http.Request) (int, any, error)) endpoint {
		return c.withServer(func(s *server, r *http.Request) (int, any, error) {
			if minor, err := microversion(r); err != nil || minor < 26 {
				return 0, nil, novaError(http.StatusNotFound, "The resource could not be found.")
			}
			return do(s, r)
		})
	}
	one := root + "/servers/{id}/tags/{tag}"
	private("GET "+root+"/servers/{id}/tags", with(func(s *server, _ *http.Request) (int, any, error) {
		return http.StatusOK, m{"tags": slices.Clone(s.Tags)}, nil
	}))
	private("PUT "+root+"/servers/{id}/tags", with(func(s *server, r *http.Request) (int, any, error) {
		var req struct {
			Tags []string `json:"tags"`
		}
		if err := readJSON(r, &req); err != nil {
			return 0, nil, err
		}
		if err := checkTags(req.Tags); err != nil {
			return 0, nil, err
		}
		s.Tags = unique(req.Tags)
		return http.StatusOK, m{"tags": slices.Clone(s.Tags)}, nil
	}))
	private("DELETE "+root+"/servers/{id}/tags", with(func(s *server, _ *http.Request) (int, any, error) {
		s.Tags = []string{}
		return http.StatusNoContent, nil, nil
	}))
	private("GET "+one, with(func(s *server, r *http.Request) (int, any, error) {
		if !slices.Contains(s.Tags, r.PathValue("tag")) {
			return 0, nil, novaError(http.StatusNotFound, "Server %s has no tag '%s'", s.ID, r.PathValue("tag"))
		}
		return http.StatusNoContent, nil, nil
	}))
	private("PUT "+one, with(func(s *server, r *http.Request) (int, any, error) {
		tag := r.PathValue("tag")
		if slices.Contains(s.Tags, tag) {
			return http.StatusNoContent, nil, nil
		}
		if err := checkTags(append(slices.Clone(s.Tags), tag)); err != nil {
			return 0, nil, err
		}
		s.Tags = append(s.Tags, tag)
		return http.StatusCreated, nil, nil
	}))
	private("DELETE "+one, with(func(s *server, r *http.Request) (int, any, error) {
		at := slices.Index(s.Tags, r.PathValue("tag"))
		if at < 0 {
			return 0, nil, novaError(http.StatusNotFound, "Server %s has no tag '%s'", s.ID, r.PathValue("tag"))
		}
		s.Tags = slices.Delete(s.Tags, at, at+1)
		return http.StatusNoContent, nil, nil
	}))
}
