package devcloud

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
)

// snapshot is a copy of a volume's folder, made at once.
type snapshot struct {
	head
	Description, Status string
	VolumeID            string
	Size                int
	Metadata            map[string]string
}

func (c *Cloud) snapshotDir(id string) string { return filepath.Join(c.o.Dir, "snapshots", id) }

// detail is a snapshot with what only a long listing and a look at it tell.
func (s *snapshot) detail() m {
	out := s.json()
	out["os-extended-snapshot-attributes:progress"] = "100%"
	return out
}

func (s *snapshot) json() m {
	return m{
		"id": s.ID, "name": s.Name, "description": orNull(s.Description), "status": s.Status, "volume_id": s.VolumeID, "size": s.Size,
		"metadata": copied(s.Metadata), "created_at": s.Created.Format(cinderTime), "updated_at": s.Created.Format(cinderTime),
	}
}

func (c *Cloud) snapshotRoutes(private func(string, endpoint), root string) {
	with := func(do func(*snapshot) (int, any, error)) endpoint {
		return func(r *http.Request) (int, any, error) {
			s, ok := c.snapshots[r.PathValue("id")]
			if !ok {
				return 0, nil, novaError(http.StatusNotFound, "Snapshot %s could not be found.", r.PathValue("id"))
			}
			return do(s)
		}
	}
	private("POST "+root+"/snapshots", c.createSnapshot)
	private("GET "+root+"/snapshots", c.listSnapshots((*snapshot).json))
	private("GET "+root+"/snapshots/detail", c.listSnapshots((*snapshot).detail))
	private("GET "+root+"/snapshots/{id}", with(func(s *snapshot) (int, any, error) {
		return http.StatusOK, m{"snapshot": s.detail()}, nil
	}))
	private("DELETE "+root+"/snapshots/{id}", with(c.deleteSnapshot))
	metadata(private, root+"/snapshots", func(id string) (map[string]string, error) {
		if s, ok := c.snapshots[id]; ok {
			return s.Metadata, nil
		}
		return nil, novaError(http.StatusNotFound, "Snapshot %s could not be found.", id)
	})
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
	want := req.Snapshot
	v, ok := c.volumes[want.VolumeID]
	if !ok {
		return 0, nil, noVolume(want.VolumeID)
	}
	if v.Status != "available" && (!want.Force || v.Status != "in-use") {
		return 0, nil, novaError(http.StatusBadRequest, "Invalid volume: Volume %s status must be available, but current status is: %s.", v.ID, v.Status)
	}
	if over(c.o.Quota.Snapshots, len(c.snapshots)+1) {
		f := novaError(http.StatusRequestEntityTooLarge, "SnapshotLimitExceeded: Maximum number of snapshots allowed (%d) exceeded", c.o.Quota.Snapshots)
		f.header = map[string]string{"Retry-After": "0"}
		return 0, nil, f
	}
	s := &snapshot{
		head: c.begin(r, newID(), want.Name), Description: want.Description, Status: "creating", VolumeID: v.ID, Size: v.Size,
		Metadata: copied(want.Metadata),
	}
	c.snapshots[s.ID] = s
	body := m{"snapshot": s.json()}
	fate := faultOf(r)
	c.work(func(ctx context.Context) {
		dir := c.snapshotDir(s.ID)
		err := os.MkdirAll(dir, 0o700)
		if err == nil {
			err = os.CopyFS(dir, os.DirFS(c.volumeDir(v.ID)))
		}
		if err != nil {
			c.o.Log.Warn().Err(err).Str("snapshot", s.ID).Msg("a snapshot was not made")
		}
		if !c.pause(ctx) {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		s.Status = "available"
		if err != nil || fate.Mode == ModeError {
			s.Status = "error"
		}
	})
	return http.StatusAccepted, body, nil
}

func (c *Cloud) listSnapshots(tell func(*snapshot) m) endpoint {
	return func(r *http.Request) (int, any, error) {
		q := r.URL.Query()
		list := listed(c.snapshots, func(s *snapshot) bool {
			return matches(q.Get("name"), s.Name) && matches(q.Get("volume_id"), s.VolumeID) && matches(q.Get("status"), s.Status)
		})
		list, next, err := page(r, list, 1000)
		if err != nil {
			return 0, nil, err
		}
		found := []m{}
		for _, s := range list {
			found = append(found, tell(s))
		}
		return http.StatusOK, c.links(m{"snapshots": found}, "snapshots_links", next), nil
	}
}

func (c *Cloud) deleteSnapshot(s *snapshot) (int, any, error) {
	if s.Status != "available" && s.Status != "error" {
		return 0, nil, novaError(http.StatusBadRequest, "Invalid snapshot: Snapshot status must be available or error or error_deleting.")
	}
	s.Status = "deleting"
	c.soon(func() {
		delete(c.snapshots, s.ID)
		if err := os.RemoveAll(c.snapshotDir(s.ID)); err != nil {
			c.o.Log.Warn().Err(err).Str("snapshot", s.ID).Msg("a snapshot's folder was not removed")
		}
	})
	return http.StatusAccepted, nil, nil
}
