package devcloud

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

func (c *Cloud) attachmentRoutes(private func(string, endpoint), root string) {
	const path = "/servers/{id}/os-volume_attachments"
	private("GET "+root+path, c.withServer(func(s *server, r *http.Request) (int, any, error) {
		found := []m{}
		for _, a := range s.Volumes {
			found = append(found, attachmentJSON(s, a, r))
		}
		return http.StatusOK, m{"volumeAttachments": found}, nil
	}))
	private("POST "+root+path, c.withServer(c.attach))
	private("GET "+root+path+"/{volume}", c.withServer(func(s *server, r *http.Request) (int, any, error) {
		at := s.attachment(r.PathValue("volume"))
		if at < 0 {
			return 0, nil, notAttached(s, r.PathValue("volume"))
		}
		return http.StatusOK, m{"volumeAttachment": attachmentJSON(s, s.Volumes[at], r)}, nil
	}))
	private("DELETE "+root+path+"/{volume}", c.withServer(c.detach))
}

func (s *server) attachment(volume string) int {
	return slices.IndexFunc(s.Volumes, func(a attachment) bool { return a.Volume == volume })
}

func notAttached(s *server, volume string) error {
	return novaError(http.StatusNotFound, "Instance %s is not attached to volume %s", s.ID, volume)
}

func attachmentJSON(s *server, a attachment, r *http.Request) m {
	out := m{"volumeId": a.Volume, "serverId": s.ID, "device": a.Device}
	minor, err := microversion(r)
	if err != nil {
		minor = 1
	}
	if minor < 89 {
		out["id"] = a.Volume
	} else {
		out["attachment_id"], out["bdm_uuid"] = a.Volume, a.Volume
	}
	if minor >= 70 {
		out["tag"] = orNull(a.Tag)
	}
	if minor >= 79 {
		out["delete_on_termination"] = a.Delete
	}
	return out
}

func (c *Cloud) deviceTaken(s *server, device string) bool {
	return device == ephemeralDevice && s.Flavor.Ephemeral > 0 || slices.ContainsFunc(s.Volumes, func(a attachment) bool { return a.Device == device })
}

// freeDevice is the first free name: sda for a root volume, else from sdb on,
// after the flavor's own disks.
func (c *Cloud) freeDevice(s *server, root bool) string {
	first := 'b'
	if root {
		first = 'a'
	} else {
		for _, size := range []int{s.Flavor.Ephemeral, s.Flavor.Swp} {
			if size > 0 {
				first++
			}
		}
	}
	for letter := first; letter <= 'z'; letter++ {
		if name := "/dev/sd" + string(letter); !c.deviceTaken(s, name) {
			return name
		}
	}
	return ""
}

func (c *Cloud) attach(s *server, r *http.Request) (int, any, error) {
	var req struct {
		Attachment struct {
			Volume string `json:"volumeId"`
			Device string `json:"device"`
			Tag    string `json:"tag"`
			Delete bool   `json:"delete_on_termination"`
		} `json:"volumeAttachment"`
	}
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	if err := refuseUnless(s, "attach_volume", "ACTIVE", "SHUTOFF"); err != nil {
		return 0, nil, err
	}
	want := req.Attachment
	v, ok := c.volumes[want.Volume]
	switch {
	case !ok:
		return 0, nil, noVolume(want.Volume)
	case v.Server != "":
		return 0, nil, novaError(http.StatusBadRequest, "Invalid volume: volume %s is already attached to instances: %s", v.ID, v.Server)
	case v.Status != "available":
		return 0, nil, novaError(http.StatusBadRequest, "Invalid input received: Invalid volume: Volume %s status must be available or downloading to reserve, but the current status is %s. (HTTP 400)", v.ID, v.Status)
	}
	device := want.Device
	if device == "" || device == "auto" {
		device = c.freeDevice(s, false)
	}
	if !validDevice(device) {
		return 0, nil, novaError(http.StatusBadRequest, "The supplied device path (%s) is invalid.", device)
	}
	if c.deviceTaken(s, device) {
		return 0, nil, novaError(http.StatusConflict, "The supplied device path (%s) is in use.", device)
	}
	a := attachment{Volume: v.ID, Device: device, Tag: want.Tag, Delete: want.Delete}
	s.Volumes = append(s.Volumes, a)
	v.Status, v.Server, v.Device = "attaching", s.ID, device
	c.operate(s, func(_ context.Context, has Machine, _ Guest) (Machine, error) {
		if has == nil {
			return nil, nil
		}
		return has, has.Attach(device, c.volumeDir(v.ID))
	}, func(err error) {
		if v.Status != "attaching" || v.Server != s.ID {
			return
		}
		v.Status, v.Attached, v.Updated = "in-use", c.tick(), c.tick()
		if err != nil {
			c.o.Log.Warn().Err(err).Str("server", s.ID).Str("volume", v.ID).Msg("a volume was not attached")
			c.release(s, v)
		}
	})
	return http.StatusOK, m{"volumeAttachment": attachmentJSON(s, a, r)}, nil
}

// validDevice keeps names out that would lead a hypervisor elsewhere.
func validDevice(device string) bool {
	name, ok := strings.CutPrefix(device, "/dev/")
	if !ok || name == "" || len(name) > 16 {
		return false
	}
	for _, letter := range name {
		if (letter < 'a' || letter > 'z') && (letter < '0' || letter > '9') {
			return false
		}
	}
	return true
}

func (c *Cloud) detach(s *server, r *http.Request) (int, any, error) {
	id := r.PathValue("volume")
	v := c.volumes[id]
	if v == nil {
		return 0, nil, noVolume(id)
	}
	at := s.attachment(id)
	if at < 0 {
		return 0, nil, notAttached(s, id)
	}
	if s.Volumes[at].Root {
		return 0, nil, novaError(http.StatusForbidden, "Cannot detach a root device volume")
	}
	if err := refuseUnless(s, "detach_volume", "ACTIVE", "SHUTOFF"); err != nil {
		return 0, nil, err
	}
	if v.Status != "in-use" {
		return 0, nil, novaError(http.StatusBadRequest, "Invalid volume: Invalid input received: Invalid volume: Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' to detach. (HTTP 400)")
	}
	device := s.Volumes[at].Device
	v.Status = "detaching"
	c.operate(s, func(_ context.Context, has Machine, _ Guest) (Machine, error) {
		if has == nil {
			return nil, nil
		}
		return has, has.Detach(device)
	}, func(err error) {
		if v.Status != "detaching" || v.Server != s.ID {
			return
		}
		if err != nil {
			v.Status = "in-use"
			c.o.Log.Warn().Err(err).Str("server", s.ID).Str("volume", v.ID).Msg("a volume was not detached")
			return
		}
		c.release(s, v)
	})
	return http.StatusAccepted, nil, nil
}

// release makes a volume available again.
func (c *Cloud) release(s *server, v *volume) {
	s.Volumes = slices.DeleteFunc(s.Volumes, func(a attachment) bool { return a.Volume == v.ID })
	v.Status, v.Server, v.Device, v.Updated = "available", "", "", c.tick()
}
