package devcloud

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
)

// serverDir is where a server lies.
func (c *Cloud) serverDir(id string) string { return filepath.Join(c.o.Dir, "servers", id) }

// boot has the hypervisor start the server; a failure is the server's fault
// text, as Nova has it. No lock is held while it starts.
func (c *Cloud) boot(s *server) {
	c.mu.Lock()
	spec := MachineSpec{
		ID: s.ID, Name: s.Name, Dir: c.serverDir(s.ID), Image: filepath.Join(c.imagePath(s.ImageID), "data"),
		UserData: s.UserData, PublicKey: c.keypairs[s.Key],
	}
	if addresses := c.fixed(s); len(addresses) > 0 {
		spec.IP = addresses[0]
	}
	for _, a := range s.Attached {
		spec.Volumes = append(spec.Volumes, VolumeSpec{Dir: c.volumeDir(a.Volume), Device: a.Device, ID: a.Volume})
	}
	c.mu.Unlock()
	machine, err := c.o.Hypervisor.Boot(spec)
	if err != nil {
		c.o.Log.Error().Err(err).Str("server", s.ID).Msg("server not booted")
		c.setStatus(s, "ERROR", err.Error())
		return
	}
	c.mu.Lock()
	_, living := c.servers[s.ID]
	if living {
		s.machine = machine
	}
	c.mu.Unlock()
	if !living {
		_ = machine.Stop() // deleted while it booted
	}
}

func (c *Cloud) deleteServer(r *http.Request) (int, any, error) {
	c.mu.Lock()
	s, ok := c.servers[r.PathValue("id")]
	if !ok {
		c.mu.Unlock()
		return 0, nil, noServer(r.PathValue("id"))
	}
	delete(c.servers, s.ID)
	for _, a := range s.Attached {
		if v := c.volumes[a.Volume]; v != nil {
			v.Status, v.Server, v.Device = "available", "", ""
		}
	}
	for _, id := range s.PortIDs {
		c.unfloat(id)
		if slices.Contains(s.ownPorts, id) {
			delete(c.ports, id)
		} else if p := c.ports[id]; p != nil {
			p.Device = ""
		}
	}
	machine := s.machine
	s.machine = nil
	c.mu.Unlock()
	if machine != nil {
		if err := machine.Stop(); err != nil {
			c.o.Log.Error().Err(err).Str("server", s.ID).Msg("server not ended")
		}
	}
	if err := os.RemoveAll(c.serverDir(s.ID)); err != nil {
		c.o.Log.Error().Err(err).Str("server", s.ID).Msg("server's folder not removed")
	}
	return http.StatusNoContent, nil, nil
}

// serverAction is POST /servers/{id}/action: one key names the action.
func (c *Cloud) serverAction(r *http.Request) (int, any, error) {
	var req map[string]any
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	c.mu.Lock()
	s, ok := c.servers[r.PathValue("id")]
	if !ok {
		c.mu.Unlock()
		return 0, nil, noServer(r.PathValue("id"))
	}
	machine := s.machine
	c.mu.Unlock()
	switch {
	case has(req, "os-getConsoleOutput"):
		output := ""
		if machine != nil {
			output = machine.Console()
		}
		return http.StatusOK, map[string]string{"output": output}, nil
	case has(req, "reboot"), has(req, "os-stop"):
		c.mu.Lock()
		s.machine = nil
		c.mu.Unlock()
		if machine != nil {
			if err := machine.Stop(); err != nil {
				return 0, nil, novaError(http.StatusInternalServerError, "the server did not stop")
			}
		}
		if has(req, "os-stop") {
			c.setStatus(s, "SHUTOFF", "")
			return http.StatusAccepted, nil, nil
		}
	case has(req, "os-start"):
	default:
		return 0, nil, novaError(http.StatusBadRequest, "There is no such action: %v", req)
	}
	c.setStatus(s, "ACTIVE", "")
	if c.o.Hypervisor != nil {
		c.boot(s)
	}
	return http.StatusAccepted, nil, nil
}

func has(m map[string]any, key string) bool { _, ok := m[key]; return ok }

func attachmentJSON(s *server, a attachment) map[string]any {
	return map[string]any{"id": a.Volume, "volumeId": a.Volume, "serverId": s.ID, "device": a.Device}
}

func (c *Cloud) listAttachments(s *server, _ *http.Request) (int, any, error) {
	list := []any{}
	for _, a := range s.Attached {
		list = append(list, attachmentJSON(s, a))
	}
	return http.StatusOK, map[string]any{"volumeAttachments": list}, nil
}

func (c *Cloud) getAttachment(s *server, r *http.Request) (int, any, error) {
	for _, a := range s.Attached {
		if a.Volume == r.PathValue("volume") {
			return http.StatusOK, map[string]any{"volumeAttachment": attachmentJSON(s, a)}, nil
		}
	}
	return 0, nil, novaError(http.StatusNotFound, "Instance %s is not attached to volume %s", s.ID, r.PathValue("volume"))
}

func (c *Cloud) attach(s *server, r *http.Request) (int, any, error) {
	var req struct {
		Attachment struct {
			Volume string `json:"volumeId"`
			Device string `json:"device"`
		} `json:"volumeAttachment"`
	}
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	v, ok := c.volumes[req.Attachment.Volume]
	if !ok {
		return 0, nil, novaError(http.StatusNotFound, "Volume %s could not be found.", req.Attachment.Volume)
	}
	if v.status() != "available" {
		return 0, nil, novaError(http.StatusBadRequest, "Invalid volume: Volume %s status must be available or downloading to reserve, but the current status is %s.", v.ID, v.Status)
	}
	a := attachment{Volume: v.ID, Device: req.Attachment.Device}
	taken := func(device string) bool {
		return slices.ContainsFunc(s.Attached, func(have attachment) bool { return have.Device == device })
	}
	if a.Device == "" {
		for letter := 'b'; letter <= 'z' && (a.Device == "" || taken(a.Device)); letter++ {
			a.Device = fmt.Sprintf("/dev/sd%c", letter)
		}
	}
	if taken(a.Device) {
		return 0, nil, novaError(http.StatusConflict, "The supplied device path (%s) is in use.", a.Device)
	}
	if s.machine != nil {
		if err := s.machine.Attach(VolumeSpec{Dir: c.volumeDir(v.ID), Device: a.Device, ID: v.ID}); err != nil {
			return 0, nil, novaError(http.StatusInternalServerError, "the volume could not be plugged: %v", err)
		}
	}
	s.Attached = append(s.Attached, a)
	v.Status, v.Server, v.Device = "in-use", s.ID, a.Device
	return http.StatusOK, map[string]any{"volumeAttachment": attachmentJSON(s, a)}, nil
}

func (c *Cloud) detach(s *server, r *http.Request) (int, any, error) {
	for i, a := range s.Attached {
		if a.Volume != r.PathValue("volume") {
			continue
		}
		if s.machine != nil {
			if err := s.machine.Detach(VolumeSpec{Dir: c.volumeDir(a.Volume), Device: a.Device, ID: a.Volume}); err != nil {
				return 0, nil, novaError(http.StatusInternalServerError, "the volume could not be unplugged: %v", err)
			}
		}
		s.Attached = slices.Delete(s.Attached, i, i+1)
		if v := c.volumes[a.Volume]; v != nil {
			v.Status, v.Server, v.Device = "available", "", ""
		}
		return http.StatusAccepted, nil, nil
	}
	return 0, nil, novaError(http.StatusNotFound, "Instance %s is not attached to volume %s", s.ID, r.PathValue("volume"))
}
