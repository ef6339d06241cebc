package devcloud

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
)

type volume struct {
	ID, Name, Description, Status, Type, Zone string
	Size                                      int
	Metadata                                  map[string]string
	Server, Device                            string
	Created, ready                            time.Time
	hidden                                    int
}

func (v *volume) createdAt() time.Time { return v.Created }

func (v *volume) status() string {
	if v.Status == "creating" && !time.Now().Before(v.ready) {
		v.Status = "available"
	}
	return v.Status
}

const cinderTime = "2006-01-02T15:04:05.000000"

func (v *volume) json() map[string]any {
	attachments := []any{}
	if v.Server != "" {
		attachments = append(attachments, map[string]any{"server_id": v.Server, "attachment_id": v.ID, "volume_id": v.ID, "id": v.ID, "device": v.Device})
	}
	return map[string]any{
		"id": v.ID, "name": v.Name, "description": v.Description, "status": v.status(), "size": v.Size, "metadata": v.Metadata,
		"availability_zone": v.Zone, "volume_type": v.Type, "attachments": attachments, "created_at": v.Created.Format(cinderTime),
		"updated_at": v.Created.Format(cinderTime), "bootable": "false", "encrypted": false, "multiattach": false, "user_id": User,
	}
}

type snapshot struct {
	ID, Name, Description, Status, VolumeID string
	Size                                    int
	Metadata                                map[string]string
	Created                                 time.Time
}

func (s *snapshot) createdAt() time.Time { return s.Created }

func (s *snapshot) json() map[string]any {
	return map[string]any{
		"id": s.ID, "name": s.Name, "description": s.Description, "status": s.Status, "volume_id": s.VolumeID, "size": s.Size,
		"metadata": s.Metadata, "created_at": s.Created.Format(cinderTime), "updated_at": s.Created.Format(cinderTime),
	}
}

func (c *Cloud) volumeDir(id string) string { return filepath.Join(c.o.Dir, "volumes", id) }

func (c *Cloud) cinder(private func(string, handle)) {
	const root = "/volume/v3/{project}"
	private("POST "+root+"/volumes", c.createVolume)
	private("GET "+root+"/volumes", c.listVolumes)
	private("GET "+root+"/volumes/detail", c.listVolumes)
	private("GET "+root+"/volumes/{id}", c.withVolume(func(v *volume, _ *http.Request) (int, any, error) {
		return http.StatusOK, map[string]any{"volume": v.json()}, nil
	}))
	private("DELETE "+root+"/volumes/{id}", c.withVolume(c.deleteVolume))
	private("POST "+root+"/volumes/{id}/action", c.withVolume(c.volumeAction))
	private("POST "+root+"/volumes/{id}/metadata", c.withVolume(func(v *volume, r *http.Request) (int, any, error) {
		var req struct {
			Metadata map[string]string `json:"metadata"`
		}
		if err := readJSON(r, &req); err != nil {
			return 0, nil, err
		}
		for k, value := range req.Metadata {
			v.Metadata[k] = value
		}
		return http.StatusOK, map[string]any{"metadata": v.Metadata}, nil
	}))
	private("POST "+root+"/snapshots", c.createSnapshot)
	private("GET "+root+"/snapshots/detail", c.listSnapshots)
	private("GET "+root+"/snapshots", c.listSnapshots)
	private("GET "+root+"/snapshots/{id}", c.withSnapshot(func(s *snapshot) (int, any, error) {
		return http.StatusOK, map[string]any{"snapshot": s.json()}, nil
	}))
	private("DELETE "+root+"/snapshots/{id}", c.withSnapshot(func(s *snapshot) (int, any, error) {
		delete(c.snapshots, s.ID)
		return http.StatusAccepted, nil, nil
	}))
	private("GET "+root+"/types", func(*http.Request) (int, any, error) {
		return http.StatusOK, map[string]any{"volume_types": volumeTypes()}, nil
	})
	private("GET "+root+"/limits", func(*http.Request) (int, any, error) {
		return http.StatusOK, map[string]any{"limits": map[string]any{"rate": []any{}, "absolute": map[string]int{"maxTotalVolumes": 1000, "maxTotalVolumeGigabytes": maxGigabytes}}}, nil
	})
}

func volumeTypes() []map[string]any {
	return []map[string]any{{"id": "t1", "name": "standard", "extra_specs": map[string]string{}}, {"id": "t2", "name": "fast", "extra_specs": map[string]string{}}}
}

const maxGigabytes = 100_000

func noVolume(id string) error {
	return novaError(http.StatusNotFound, "Volume %s could not be found.", id)
}

func (c *Cloud) withVolume(h func(*volume, *http.Request) (int, any, error)) handle {
	return func(r *http.Request) (int, any, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		v, ok := c.volumes[r.PathValue("id")]
		if !ok {
			return 0, nil, noVolume(r.PathValue("id"))
		}
		return h(v, r)
	}
}

func (c *Cloud) withSnapshot(h func(*snapshot) (int, any, error)) handle {
	return func(r *http.Request) (int, any, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		s, ok := c.snapshots[r.PathValue("id")]
		if !ok {
			return 0, nil, novaError(http.StatusNotFound, "Snapshot %s could not be found.", r.PathValue("id"))
		}
		return h(s)
	}
}

func (c *Cloud) createVolume(r *http.Request) (int, any, error) {
	var req struct {
		Volume struct {
			Name        string            `json:"name"`
			Description string            `json:"description"`
			Size        int               `json:"size"`
			Type        string            `json:"volume_type"`
			Zone        string            `json:"availability_zone"`
			Metadata    map[string]string `json:"metadata"`
		} `json:"volume"`
	}
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	want := req.Volume
	if want.Size <= 0 {
		return 0, nil, novaError(http.StatusBadRequest, "Invalid input received: Volume size '%d' must be an integer and greater than 0", want.Size)
	}
	if want.Zone != "" && want.Zone != "nova" {
		return 0, nil, novaError(http.StatusBadRequest, "Invalid input received: Availability zone '%s' is invalid.", want.Zone)
	}
	known := want.Type == ""
	for _, t := range volumeTypes() {
		known = known || t["name"] == want.Type
	}
	if !known {
		return 0, nil, novaError(http.StatusNotFound, "Volume type with name %s could not be found.", want.Type)
	}
	if want.Type == "" {
		want.Type = "standard"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	used := 0
	for _, v := range c.volumes {
		used += v.Size
	}
	if used+want.Size > maxGigabytes {
		return 0, nil, &failure{status: http.StatusRequestEntityTooLarge, body: map[string]any{"overLimit": map[string]any{
			"code": 413, "message": "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota.",
		}}}
	}
	v := &volume{
		ID: uuid.NewString(), Name: want.Name, Description: want.Description, Status: "creating", Type: want.Type, Zone: "nova",
		Size: want.Size, Metadata: want.Metadata, Created: c.tick(), ready: c.ready(), hidden: hidden(r),
	}
	if v.Metadata == nil {
		v.Metadata = map[string]string{}
	}
	if err := os.MkdirAll(c.volumeDir(v.ID), 0o700); err != nil {
		return 0, nil, err
	}
	c.volumes[v.ID] = v
	return http.StatusAccepted, map[string]any{"volume": v.json()}, nil
}

func (c *Cloud) listVolumes(r *http.Request) (int, any, error) {
	q := r.URL.Query()
	wanted := map[string]string{}
	if m := q.Get("metadata"); m != "" {
		if json.Unmarshal([]byte(m), &wanted) != nil {
			wanted = pythonDict(m)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []any{}
	for _, v := range sorted(c.volumes) {
		if v.hidden > 0 {
			v.hidden--
			continue
		}
		fits := (q.Get("name") == "" || q.Get("name") == v.Name) && (q.Get("status") == "" || q.Get("status") == v.status())
		for k, value := range wanted {
			fits = fits && v.Metadata[k] == value
		}
		if fits {
			list = append(list, v.json())
		}
	}
	return http.StatusOK, map[string]any{"volumes": list}, nil
}

func (c *Cloud) deleteVolume(v *volume, _ *http.Request) (int, any, error) {
	switch v.status() {
	case "available", "error":
	default:
		return 0, nil, novaError(http.StatusBadRequest, "Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.")
	}
	delete(c.volumes, v.ID)
	if err := os.RemoveAll(c.volumeDir(v.ID)); err != nil {
		c.o.Log.Error().Err(err).Str("volume", v.ID).Msg("volume's folder not removed")
	}
	return http.StatusAccepted, nil, nil
}

func (c *Cloud) volumeAction(v *volume, r *http.Request) (int, any, error) {
	var req struct {
		Extend *struct {
			Size int `json:"new_size"`
		} `json:"os-extend"`
		Retype *struct {
			Type string `json:"new_type"`
		} `json:"os-retype"`
	}
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	switch {
	case req.Extend != nil:
		if v.status() != "available" {
			return 0, nil, novaError(http.StatusBadRequest, "Invalid volume: Volume %s status must be 'available' to extend, currently %s.", v.ID, v.Status)
		}
		if req.Extend.Size <= v.Size {
			return 0, nil, novaError(http.StatusBadRequest, "Invalid input received: New size for extend must be greater than current size.")
		}
		v.Size = req.Extend.Size
	case req.Retype != nil:
		v.Type = req.Retype.Type
	default:
		return 0, nil, novaError(http.StatusBadRequest, "There is no such action")
	}
	return http.StatusAccepted, nil, nil
}

func (c *Cloud) createSnapshot(r *http.Request) (int, any, error) {
	var req struct {
		Snapshot struct {
			Name        string            `json:"name"`
			Description string            `json:"description"`
			VolumeID    string            `json:"volume_id"`
			Force       bool              `json:"force"`
			Metadata    map[string]string `json:"metadata"`
		} `json:"snapshot"`
	}
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.volumes[req.Snapshot.VolumeID]
	if !ok {
		return 0, nil, noVolume(req.Snapshot.VolumeID)
	}
	if v.Server != "" && !req.Snapshot.Force {
		return 0, nil, novaError(http.StatusBadRequest, "Invalid volume: Volume %s status must be available", v.ID)
	}
	s := &snapshot{
		ID: uuid.NewString(), Name: req.Snapshot.Name, Description: req.Snapshot.Description, Status: "available", VolumeID: v.ID,
		Size: v.Size, Metadata: req.Snapshot.Metadata, Created: c.tick(),
	}
	c.snapshots[s.ID] = s
	return http.StatusAccepted, map[string]any{"snapshot": s.json()}, nil
}

func (c *Cloud) listSnapshots(r *http.Request) (int, any, error) {
	q := r.URL.Query()
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []any{}
	for _, s := range sorted(c.snapshots) {
		if (q.Get("name") == "" || q.Get("name") == s.Name) && (q.Get("volume_id") == "" || q.Get("volume_id") == s.VolumeID) {
			list = append(list, s.json())
		}
	}
	return http.StatusOK, map[string]any{"snapshots": list}, nil
}
