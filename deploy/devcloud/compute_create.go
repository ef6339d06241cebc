package devcloud

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// fingerprint is Nova's of a public key: MD5 with colons.
func fingerprint(key string) string {
	if fields := strings.Fields(key); len(fields) > 1 {
		key = fields[1]
	}
	b, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		b = []byte(key)
	}
	sum := md5.Sum(b)
	parts := make([]string, len(sum))
	for i, v := range sum {
		parts[i] = strconv.FormatUint(uint64(v)|0x100, 16)[1:]
	}
	return strings.Join(parts, ":")
}

type serverRequest struct {
	Server struct {
		Name        string            `json:"name"`
		Description string            `json:"description"`
		Image       string            `json:"imageRef"`
		Flavor      string            `json:"flavorRef"`
		Key         string            `json:"key_name"`
		Zone        string            `json:"availability_zone"`
		Metadata    map[string]string `json:"metadata"`
		Tags        *[]string         `json:"tags"`
		UserData    string            `json:"user_data"`
		ConfigDrive any               `json:"config_drive"`
		Groups      []reference       `json:"security_groups"`
		Networks    json.RawMessage   `json:"networks"`
		Mappings    []mapping         `json:"block_device_mapping_v2"`
		Personality []personality     `json:"personality"`
	} `json:"server"`
}

type mapping struct {
	UUID        string `json:"uuid"`
	Source      string `json:"source_type"`
	Destination string `json:"destination_type"`
	BootIndex   any    `json:"boot_index"`
	Size        int    `json:"volume_size"`
	Type        string `json:"volume_type"`
	Device      string `json:"device_name"`
	Delete      bool   `json:"delete_on_termination"`
}

// boots tells whether the server's root is on the volume.
func (d mapping) boots() bool { return d.BootIndex == float64(0) || d.BootIndex == "0" }

const maxUserData = 65535 // of base64

func (c *Cloud) createServer(r *http.Request) (int, any, error) {
	var req serverRequest
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	want := req.Server
	minor, err := microversion(r)
	if err != nil {
		return 0, nil, err
	}
	s := &server{Status: "BUILD", Task: "scheduling", Key: want.Key, Description: want.Description, Metadata: copied(want.Metadata), turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	if err := checkMetadata(want.Metadata); err != nil {
		return 0, nil, err
	}
	if over(c.o.Quota.ServerMetadata, len(want.Metadata)) {
		return 0, nil, novaError(http.StatusForbidden, "Maximum number of metadata items exceeds %d", c.o.Quota.ServerMetadata)
	}
	if s.UserData, err = base64.StdEncoding.DecodeString(want.UserData); err != nil || len(want.UserData) > maxUserData {
		return 0, nil, novaError(http.StatusBadRequest, "Invalid input for field/attribute user_data. Value: ***. It is not valid base64 or too long")
	}
	if s.Files, err = wantedFiles(want.Personality, minor); err != nil {
		return 0, nil, err
	}
	tags, err := wantedTags(want.Tags, minor)
	if err != nil {
		return 0, nil, err
	}
	if want.Name == "" || len(want.Name) > 255 {
		return 0, nil, novaError(http.StatusBadRequest, "Invalid input for field/attribute name. Value: %s. '%s' is too short or too long", want.Name, want.Name)
	}
	if err := c.describe(s, want.Image, want.Flavor, want.Zone, want.ConfigDrive, want.Mappings); err != nil {
		return 0, nil, err
	}
	groups, err := c.wantedGroups(want.Groups)
	if err != nil {
		return 0, nil, err
	}
	nics, err := c.wantedNICs(want.Networks, minor)
	if err != nil {
		return 0, nil, err
	}
	s.head = c.begin(r, newID(), want.Name)
	s.Tags, s.Updated = tags, s.Created
	if err := c.plug(r, s, nics, groups); err != nil {
		return 0, nil, err
	}
	c.bootVolumes(r, s, want.Mappings)
	c.servers[s.ID] = s
	c.start(s, faultOf(r))
	if len(want.Groups) == 0 {
		want.Groups = []reference{{Name: "default"}}
	}
	names := []m{}
	for _, g := range want.Groups {
		names = append(names, m{"name": g.Name})
	}
	return http.StatusAccepted, m{"server": m{
		"id": s.ID, "adminPass": compactID()[:12], "security_groups": names, "OS-DCF:diskConfig": "MANUAL", "links": c.serverLinks(s),
	}}, nil
}

// wantedTags are part of the body from 2.52 on.
func wantedTags(tags *[]string, minor int) ([]string, error) {
	if tags == nil {
		return []string{}, nil
	}
	if minor < 52 {
		return nil, novaError(http.StatusBadRequest, "Additional properties are not allowed ('tags' was unexpected)")
	}
	return *tags, checkTags(*tags)
}

func checkTags(tags []string) error {
	if len(tags) > 50 {
		return novaError(http.StatusBadRequest, "The number of tags exceeded the per-server limit 50")
	}
	for _, tag := range tags {
		if tag == "" || len(tag) > 60 || strings.ContainsAny(tag, "/,") {
			return novaError(http.StatusBadRequest, "Invalid input for field/attribute tags. Value: %s. Tag is empty, too long or has a / or a comma", tag)
		}
	}
	return nil
}

// describe checks what the server is made of.
func (c *Cloud) describe(s *server, imageRef, flavorRef, zone string, drive any, mappings []mapping) error {
	f := flavorWith(flavorRef)
	if f == nil {
		return novaError(http.StatusBadRequest, "Flavor %s could not be found.", flavorRef)
	}
	s.Flavor, s.ImageID = *f, imageRef
	for _, d := range mappings {
		if d.Source == "image" && s.ImageID == "" {
			s.ImageID = d.UUID
		}
		if v := c.volumes[d.UUID]; d.Source == "volume" {
			if v == nil || v.Status != "available" {
				return novaError(http.StatusBadRequest, "Block Device Mapping is Invalid: failed to get volume %s.", d.UUID)
			}
			s.ImageID = v.ImageID
		}
	}
	i, ok := c.images[s.ImageID]
	switch {
	case !ok:
		return novaError(http.StatusBadRequest, "Can not find requested image")
	case i.Status != "active":
		return novaError(http.StatusBadRequest, "Image %s is not active.", i.ID)
	case f.Disk > 0 && f.Disk < i.MinDisk:
		return novaError(http.StatusBadRequest, "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is %d bytes, minimum size is %d bytes.", f.Disk<<30, i.MinDisk<<30)
	case !virtual(i.Properties["hypervisor_type"]):
		return novaError(http.StatusBadRequest, "Invalid image metadata. Error: Hypervisor virt type '%s' is not valid", i.Properties["hypervisor_type"])
	case f.RAM < i.MinRAM:
		return novaError(http.StatusBadRequest, "Flavor's memory is too small for requested image.")
	case s.Key != "" && c.keys[s.Key] == nil:
		return novaError(http.StatusBadRequest, "Invalid key_name provided.")
	case zone != "" && zone != Zone && !strings.HasPrefix(zone, Zone+":"):
		return novaError(http.StatusBadRequest, "The requested availability zone is not available")
	}
	text, _ := drive.(string)
	on, _ := drive.(bool)
	s.ConfigDrive = on || strings.EqualFold(text, "true")
	instances, cores, ram := c.used()
	q := c.o.Quota
	for _, limit := range []struct {
		name              string
		wanted, used, all int
	}{{"instances", 1, instances, q.Instances}, {"cores", f.VCPUs, cores, q.Cores}, {"ram", f.RAM, ram, q.RAM}} {
		if over(limit.all, limit.used+limit.wanted) {
			return novaError(http.StatusForbidden, "Quota exceeded for %s: Requested %d, but already used %d of %d %s", limit.name, limit.wanted, limit.used, limit.all, limit.name)
		}
	}
	return nil
}

// virtual tells whether Nova knows a kind of hypervisor; an image need not name
// one.
func virtual(kind string) bool {
	known := []string{"", "baremetal", "bhyve", "docker", "fake", "hyperv", "ironic", "kqemu", "kvm", "lxc", "lxd", "openvz", "parallels", "phyp", "qemu", "test", "uml", "vbox", "vmware", "vz", "xen", "zvm"}
	return slices.Contains(known, strings.ToLower(kind))
}

// bootVolumes attaches the volumes of the block device mapping: those that
// exist, and new ones made of the image.
func (c *Cloud) bootVolumes(r *http.Request, s *server, mappings []mapping) {
	for _, d := range mappings {
		var v *volume
		switch {
		case d.Source == "volume":
			v = c.volumes[d.UUID]
		case d.Destination == "volume" && (d.Source == "image" || d.Source == "blank"):
			v = c.newVolume(r, "", max(d.Size, 1))
			if d.Source == "image" {
				v.ImageID = d.UUID
			}
			c.fillNow(v)
		}
		if v == nil {
			continue
		}
		device := d.Device
		if device == "" || c.deviceTaken(s, device) {
			device = c.freeDevice(s, d.boots())
		}
		s.Volumes = append(s.Volumes, attachment{Volume: v.ID, Device: device, Delete: d.Delete, Root: d.boots()})
		v.Status, v.Server, v.Device, v.Attached = "in-use", s.ID, device, c.tick()
	}
}
