package devcloud

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"
)

type flavor struct {
	ID, Name             string
	RAM, VCPUs           int
	Disk, Ephemeral, Swp int
}

func flavors() []flavor {
	return []flavor{
		{ID: "1", Name: "m1.tiny", RAM: 512, VCPUs: 1, Disk: 1}, {ID: "2", Name: "m1.small", RAM: 2048, VCPUs: 1, Disk: 20},
		{ID: "3", Name: "m1.medium", RAM: 4096, VCPUs: 2, Disk: 40}, {ID: "4", Name: "m1.ephemeral", RAM: 2048, VCPUs: 1, Disk: 20, Ephemeral: 8},
		{ID: "5", Name: "m1.huge", RAM: 1 << 20, VCPUs: 512, Disk: 20},
	}
}

func (f flavor) json() map[string]any {
	return map[string]any{
		"id": f.ID, "name": f.Name, "ram": f.RAM, "vcpus": f.VCPUs, "disk": f.Disk, "OS-FLV-EXT-DATA:ephemeral": f.Ephemeral,
		"swap": "", "rxtx_factor": 1.0, "os-flavor-access:is_public": true, "links": []any{},
	}
}

type server struct {
	ID, Name, Status, Fault string
	ImageID, Flavor, Key    string
	Zone                    string
	Metadata                map[string]string
	Tags                    []string
	Groups                  []string
	UserData                []byte
	PortIDs                 []string
	Attached                []attachment
	Created, ready          time.Time
	ownPorts                []string // made with the server, gone with it
	machine                 Machine
	hidden                  int
}

type attachment struct{ Volume, Device string }

func (s *server) createdAt() time.Time { return s.Created }

// status passes BUILD to ACTIVE when the time has come.
func (s *server) status() string {
	if s.Status == "BUILD" && !time.Now().Before(s.ready) {
		s.Status = "ACTIVE"
	}
	return s.Status
}

func (c *Cloud) nova(private func(string, handle)) {
	const root = "/compute/v2.1"
	private("GET "+root+"/flavors", c.listFlavors)
	private("GET "+root+"/flavors/detail", c.listFlavors)
	private("GET "+root+"/flavors/{id}", func(r *http.Request) (int, any, error) {
		for _, f := range flavors() {
			if f.ID == r.PathValue("id") {
				return http.StatusOK, map[string]any{"flavor": f.json()}, nil
			}
		}
		return 0, nil, novaError(http.StatusNotFound, "Flavor %s could not be found.", r.PathValue("id"))
	})
	private("GET "+root+"/os-keypairs", func(*http.Request) (int, any, error) {
		list := []any{}
		for name, key := range c.keypairs {
			list = append(list, map[string]any{"keypair": map[string]any{"name": name, "public_key": key, "fingerprint": "00"}})
		}
		return http.StatusOK, map[string]any{"keypairs": list}, nil
	})
	private("GET "+root+"/os-keypairs/{name}", func(r *http.Request) (int, any, error) {
		key, ok := c.keypairs[r.PathValue("name")]
		if !ok {
			return 0, nil, novaError(http.StatusNotFound, "Keypair %s not found for user %s", r.PathValue("name"), User)
		}
		return http.StatusOK, map[string]any{"keypair": map[string]any{"name": r.PathValue("name"), "public_key": key, "fingerprint": "00"}}, nil
	})
	private("GET "+root+"/os-availability-zone", func(*http.Request) (int, any, error) {
		return http.StatusOK, map[string]any{"availabilityZoneInfo": []any{map[string]any{"zoneName": "nova", "zoneState": map[string]bool{"available": true}, "hosts": nil}}}, nil
	})
	private("GET "+root+"/limits", c.limits)
	private("POST "+root+"/servers", c.createServer)
	private("GET "+root+"/servers", c.listServers)
	private("GET "+root+"/servers/detail", c.listServers)
	private("GET "+root+"/servers/{id}", c.withServer(func(s *server, r *http.Request) (int, any, error) {
		return http.StatusOK, map[string]any{"server": c.serverJSON(s, r)}, nil
	}))
	private("PUT "+root+"/servers/{id}", c.withServer(c.renameServer))
	private("DELETE "+root+"/servers/{id}", c.deleteServer)
	private("GET "+root+"/servers/{id}/metadata", c.withServer(func(s *server, _ *http.Request) (int, any, error) {
		return http.StatusOK, map[string]any{"metadata": s.Metadata}, nil
	}))
	private("POST "+root+"/servers/{id}/metadata", c.withServer(c.updateMetadata))
	private("PUT "+root+"/servers/{id}/metadata/{key}", c.withServer(c.updateMetadata))
	private("GET "+root+"/servers/{id}/tags", c.withServer(func(s *server, _ *http.Request) (int, any, error) {
		return http.StatusOK, map[string]any{"tags": s.Tags}, nil
	}))
	private("POST "+root+"/servers/{id}/action", c.serverAction)
	private("GET "+root+"/servers/{id}/os-volume_attachments", c.withServer(c.listAttachments))
	private("GET "+root+"/servers/{id}/os-volume_attachments/{volume}", c.withServer(c.getAttachment))
	private("POST "+root+"/servers/{id}/os-volume_attachments", c.withServer(c.attach))
	private("DELETE "+root+"/servers/{id}/os-volume_attachments/{volume}", c.withServer(c.detach))
}

func (c *Cloud) listFlavors(*http.Request) (int, any, error) {
	list := []any{}
	for _, f := range flavors() {
		list = append(list, f.json())
	}
	return http.StatusOK, map[string]any{"flavors": list}, nil
}

const maxServers = 1000

func (c *Cloud) limits(*http.Request) (int, any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return http.StatusOK, map[string]any{"limits": map[string]any{"rate": []any{}, "absolute": map[string]int{
		"maxTotalInstances": maxServers, "totalInstancesUsed": len(c.servers), "maxTotalCores": 4096, "totalCoresUsed": len(c.servers),
		"maxTotalRAMSize": 1 << 22, "totalRAMUsed": 2048 * len(c.servers),
	}}}, nil
}

// withServer runs under the mutex.
func (c *Cloud) withServer(h func(*server, *http.Request) (int, any, error)) handle {
	return func(r *http.Request) (int, any, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		s, ok := c.servers[r.PathValue("id")]
		if !ok {
			return 0, nil, noServer(r.PathValue("id"))
		}
		return h(s, r)
	}
}

func noServer(id string) error {
	return novaError(http.StatusNotFound, "Instance %s could not be found.", id)
}

type serverRequest struct {
	Server struct {
		Name     string            `json:"name"`
		Image    string            `json:"imageRef"`
		Flavor   string            `json:"flavorRef"`
		Key      string            `json:"key_name"`
		Zone     string            `json:"availability_zone"`
		Metadata map[string]string `json:"metadata"`
		Tags     []string          `json:"tags"`
		UserData string            `json:"user_data"`
		Groups   []named           `json:"security_groups"`
		Networks any               `json:"networks"`
		Mappings []struct {
			UUID       string `json:"uuid"`
			SourceType string `json:"source_type"`
		} `json:"block_device_mapping_v2"`
	} `json:"server"`
}

func (c *Cloud) createServer(r *http.Request) (int, any, error) {
	var req serverRequest
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	want := req.Server
	data, err := base64.StdEncoding.DecodeString(want.UserData)
	if err != nil {
		return 0, nil, novaError(http.StatusBadRequest, "User data needs to be valid base 64.")
	}
	if len(want.Tags) > 0 && microversion(r) < 52 {
		return 0, nil, novaError(http.StatusBadRequest, "Additional properties are not allowed ('tags' was unexpected)")
	}
	for _, tag := range want.Tags {
		if len(tag) > 60 {
			return 0, nil, novaError(http.StatusBadRequest, "Invalid input for field/attribute tags. Value: %s. '%s' is too long", tag, tag)
		}
	}
	imageID := want.Image
	for _, m := range want.Mappings {
		if m.SourceType == "image" && imageID == "" {
			imageID = m.UUID
		}
	}
	s := &server{
		ID: uuid.NewString(), Name: want.Name, Status: "BUILD", ImageID: imageID, Flavor: want.Flavor, Key: want.Key, Zone: "nova",
		Metadata: want.Metadata, Tags: want.Tags, UserData: data, hidden: hidden(r), ready: c.ready(),
	}
	for _, g := range want.Groups {
		s.Groups = append(s.Groups, g.Name)
	}
	if s.Metadata == nil {
		s.Metadata = map[string]string{}
	}
	c.mu.Lock()
	err = c.admit(s, want.Networks)
	c.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	if text := doomed(r); text != "" {
		c.setStatus(s, "ERROR", text)
	} else if c.o.Hypervisor != nil {
		c.boot(s)
	}
	return http.StatusAccepted, map[string]any{"server": map[string]any{
		"id": s.ID, "adminPass": "", "links": []any{map[string]string{"rel": "self", "href": c.URL() + "/compute/v2.1/servers/" + s.ID}},
		"security_groups": []any{}, "OS-DCF:diskConfig": "MANUAL",
	}}, nil
}

// admit checks a server against what exists and takes it in. The caller holds
// the mutex.
func (c *Cloud) admit(s *server, networks any) error {
	img, ok := c.images[s.ImageID]
	if !ok || img.Status != "active" {
		return novaError(http.StatusBadRequest, "Can not find requested image")
	}
	i := slices.IndexFunc(flavors(), func(f flavor) bool { return f.ID == s.Flavor })
	if i < 0 {
		return novaError(http.StatusBadRequest, "Flavor %s could not be found.", s.Flavor)
	}
	if flavors()[i].Name == "m1.huge" {
		return novaError(http.StatusForbidden, "Quota exceeded for cores: Requested 512, but already used 0 of 20 cores")
	}
	if s.Key != "" && c.keypairs[s.Key] == "" {
		return novaError(http.StatusBadRequest, "Invalid key_name provided.")
	}
	if len(c.servers) >= maxServers {
		return novaError(http.StatusForbidden, "Quota exceeded for instances: Requested 1, but already used %d of %d instances", len(c.servers), maxServers)
	}
	if err := c.plug(s, networks); err != nil {
		return err
	}
	s.Created = c.tick()
	c.servers[s.ID] = s
	return nil
}

func (c *Cloud) setStatus(s *server, status, fault string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Status, s.Fault = status, fault
}

func (c *Cloud) serverJSON(s *server, r *http.Request) map[string]any {
	groups := []any{}
	for _, g := range s.Groups {
		groups = append(groups, map[string]string{"name": g})
	}
	volumes := []any{}
	for _, a := range s.Attached {
		volumes = append(volumes, map[string]any{"id": a.Volume, "delete_on_termination": false})
	}
	out := map[string]any{
		"id": s.ID, "name": s.Name, "status": s.status(), "metadata": s.Metadata, "image": map[string]any{"id": s.ImageID},
		"flavor": map[string]any{"id": s.Flavor}, "addresses": c.addresses(s), "key_name": s.Key, "tenant_id": c.projectID,
		"user_id": User, "created": s.Created.Format(time.RFC3339), "updated": s.Created.Format(time.RFC3339), "links": []any{},
		"security_groups": groups, "OS-EXT-AZ:availability_zone": s.Zone, "config_drive": "", "hostId": "devcloud",
		"os-extended-volumes:volumes_attached": volumes, "OS-EXT-STS:task_state": nil, "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:power_state": 1,
	}
	if microversion(r) >= 26 {
		out["tags"] = s.Tags
	}
	if s.Fault != "" {
		out["fault"] = map[string]any{"code": 500, "message": s.Fault, "created": s.Created.Format(time.RFC3339)}
	}
	return out
}

func (c *Cloud) listServers(r *http.Request) (int, any, error) {
	q := r.URL.Query()
	var name *regexp.Regexp
	if q.Get("name") != "" {
		var err error
		if name, err = regexp.Compile(q.Get("name")); err != nil {
			return 0, nil, novaError(http.StatusBadRequest, "Regex %s is invalid", q.Get("name"))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []any{}
	for _, s := range sorted(c.servers) {
		if s.hidden > 0 {
			s.hidden--
			continue
		}
		if name != nil && !name.MatchString(s.Name) {
			continue
		}
		if q.Get("status") != "" && q.Get("status") != s.status() {
			continue
		}
		if q.Get("tags") != "" && microversion(r) >= 26 && !hasAll(s.Tags, q.Get("tags")) {
			continue
		}
		list = append(list, c.serverJSON(s, r))
	}
	return http.StatusOK, map[string]any{"servers": list}, nil
}

func (c *Cloud) renameServer(s *server, r *http.Request) (int, any, error) {
	var req serverRequest
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	if req.Server.Name != "" {
		s.Name = req.Server.Name
	}
	return http.StatusOK, map[string]any{"server": c.serverJSON(s, r)}, nil
}

func (c *Cloud) updateMetadata(s *server, r *http.Request) (int, any, error) {
	var req struct {
		Metadata map[string]string `json:"metadata"`
		Meta     map[string]string `json:"meta"`
	}
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	for _, more := range []map[string]string{req.Metadata, req.Meta} {
		for k, v := range more {
			if len(k) > 255 || len(v) > 255 {
				return 0, nil, novaError(http.StatusBadRequest, "Invalid metadata size: Metadata property value greater than 255 characters")
			}
			s.Metadata[k] = v
		}
	}
	return http.StatusOK, map[string]any{"metadata": s.Metadata}, nil
}
