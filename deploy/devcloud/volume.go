package devcloud

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// volume is one of Cinder: a folder. Its states are creating, available,
// attaching, in-use, detaching, extending, deleting and error.
type volume struct {
	head
	Description, Status, Type string
	Zone                      string
	Size                      int // GiB
	Source                    string
	ImageID                   string // booted from it
	Metadata                  map[string]string
	Server, Device            string // "" when detached
	Attached                  time.Time
	Updated                   time.Time
}

const cinderTime = "2006-01-02T15:04:05.000000"

func (c *Cloud) volumeDir(id string) string { return filepath.Join(c.o.Dir, "volumes", id) }

func (c *Cloud) volumeJSON(v *volume) m {
	attachments := []m{}
	if v.Server != "" && (v.Status == "in-use" || v.Status == "detaching") {
		attachments = append(attachments, m{
			"id": v.ID, "volume_id": v.ID, "attachment_id": v.ID, "server_id": v.Server, "device": v.Device, "host_name": "devcloud",
			"attached_at": v.Attached.Format(cinderTime),
		})
	}
	bootable := "false"
	if v.ImageID != "" {
		bootable = "true"
	}
	return m{
		"id": v.ID, "name": v.Name, "description": orNull(v.Description), "status": v.Status, "size": v.Size,
		"metadata": copied(v.Metadata), "availability_zone": v.Zone, "volume_type": v.Type, "attachments": attachments,
		"snapshot_id": orNull(v.Source), "source_volid": nil, "created_at": v.Created.Format(cinderTime),
		"updated_at": v.Updated.Format(cinderTime), "bootable": bootable, "encrypted": false, "multiattach": false,
		"user_id": userID, "replication_status": nil, "consistencygroup_id": nil,
		"links": []m{{"rel": "self", "href": c.URL() + "/volume/v3/" + c.projectID + "/volumes/" + v.ID}},
	}
}

// volumeDetail is a volume with what only a long listing and a look at it tell.
func (c *Cloud) volumeDetail(v *volume) m {
	out := c.volumeJSON(v)
	out["os-vol-tenant-attr:tenant_id"] = c.projectID
	return out
}

func copied(in map[string]string) map[string]string {
	if in == nil {
		return map[string]string{}
	}
	return maps.Clone(in)
}

func noVolume(id string) error {
	return novaError(http.StatusNotFound, "Volume %s could not be found.", id)
}

func (c *Cloud) withVolume(do func(*volume, *http.Request) (int, any, error)) endpoint {
	return func(r *http.Request) (int, any, error) {
		v, ok := c.volumes[r.PathValue("id")]
		if !ok {
			return 0, nil, noVolume(r.PathValue("id"))
		}
		return do(v, r)
	}
}

type volumeRequest struct {
	Volume struct {
		Name        *string           `json:"name"`
		Description *string           `json:"description"`
		Size        int               `json:"size"`
		Type        string            `json:"volume_type"`
		Zone        string            `json:"availability_zone"`
		Snapshot    string            `json:"snapshot_id"`
		Image       string            `json:"imageRef"`
		Metadata    map[string]string `json:"metadata"`
	} `json:"volume"`
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (c *Cloud) createVolume(r *http.Request) (int, any, error) {
	var req volumeRequest
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	want := req.Volume
	source, ok := c.snapshots[want.Snapshot]
	switch {
	case want.Snapshot != "" && !ok:
		return 0, nil, novaError(http.StatusNotFound, "Snapshot %s could not be found.", want.Snapshot)
	case ok && want.Size == 0:
		want.Size = source.Size
	case ok && want.Size < source.Size:
		return 0, nil, novaError(http.StatusBadRequest, "Invalid input received: Volume size %dGB cannot be smaller than the snapshot size %dGB. They must be >= original snapshot size.", want.Size, source.Size)
	}
	if err := c.checkVolume(want.Size, want.Zone, &want.Type); err != nil {
		return 0, nil, err
	}
	if err := checkMetadata(want.Metadata); err != nil {
		return 0, nil, err
	}
	v := c.newVolume(r, text(want.Name), want.Size)
	v.Description, v.Type, v.Source, v.ImageID, v.Metadata = text(want.Description), want.Type, want.Snapshot, want.Image, copied(want.Metadata)
	body := m{"volume": c.volumeJSON(v)}
	c.fill(r, v)
	return http.StatusAccepted, body, nil
}

// checkVolume refuses what Cinder would, and completes the type.
func (c *Cloud) checkVolume(size int, zone string, kind *string) error {
	if size <= 0 {
		return novaError(http.StatusBadRequest, "Invalid input received: Volume size '%d' must be an integer and greater than 0", size)
	}
	if zone != "" && zone != Zone {
		return novaError(http.StatusBadRequest, "Invalid input received: Availability zone '%s' is invalid.", zone)
	}
	t := volumeType(*kind)
	if t == nil {
		return novaError(http.StatusNotFound, "Volume type with name %s could not be found.", *kind)
	}
	*kind = t.Name
	used := 0
	for _, v := range c.volumes {
		used += v.Size
	}
	var refused *failure
	if over(c.o.Quota.Volumes, len(c.volumes)+1) {
		refused = novaError(http.StatusRequestEntityTooLarge, "VolumeLimitExceeded: Maximum number of volumes allowed (%d) exceeded for quota 'volumes'.", c.o.Quota.Volumes)
	} else if over(c.o.Quota.Gigabytes, used+size) {
		refused = novaError(http.StatusRequestEntityTooLarge, "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested %dG, quota is %dG and %dG has been consumed.", size, c.o.Quota.Gigabytes, used)
	}
	if refused == nil {
		return nil
	}
	refused.header = map[string]string{"Retry-After": "0"}
	return refused
}

func (c *Cloud) newVolume(r *http.Request, name string, size int) *volume {
	v := &volume{head: c.begin(r, newID(), name), Status: "creating", Zone: Zone, Size: size, Type: defaultType, Metadata: map[string]string{}}
	v.Updated = v.Created
	c.volumes[v.ID] = v
	return v
}

// fillNow makes an empty folder for a volume that a server boots with.
func (c *Cloud) fillNow(v *volume) {
	if err := os.MkdirAll(c.volumeDir(v.ID), 0o700); err != nil {
		c.o.Log.Warn().Err(err).Str("volume", v.ID).Msg("a volume was not filled")
	}
}

// fill makes the volume's folder, as a copy when it comes from a snapshot.
func (c *Cloud) fill(r *http.Request, v *volume) {
	fate := faultOf(r)
	dir, from := c.volumeDir(v.ID), ""
	if v.Source != "" {
		from = c.snapshotDir(v.Source)
	}
	done := func(err error) {
		switch {
		case c.volumes[v.ID] != v || v.Status != "creating":
			return
		case err != nil || fate.Mode == ModeError:
			v.Status = "error"
		default:
			v.Status = "available"
		}
		v.Updated = c.tick()
	}
	if from == "" {
		err := os.MkdirAll(dir, 0o700)
		c.soon(func() { done(err) })
		return
	}
	c.work(func(ctx context.Context) {
		err := os.MkdirAll(dir, 0o700)
		if err == nil {
			err = os.CopyFS(dir, os.DirFS(from))
		}
		if !c.pause(ctx) {
			return
		}
		if err != nil {
			c.o.Log.Warn().Err(err).Str("volume", v.ID).Msg("a volume was not filled")
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		done(err)
	})
}

func (c *Cloud) deleteVolume(v *volume, _ *http.Request) (int, any, error) {
	busy := v.Status != "available" && v.Status != "error"
	for _, s := range c.snapshots {
		busy = busy || s.VolumeID == v.ID
	}
	if busy {
		return 0, nil, novaError(http.StatusBadRequest, "Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.")
	}
	v.Status = "deleting"
	c.soon(func() { c.dropVolume(v) })
	return http.StatusAccepted, nil, nil
}

func (c *Cloud) dropVolume(v *volume) {
	delete(c.volumes, v.ID)
	if err := os.RemoveAll(c.volumeDir(v.ID)); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.o.Log.Warn().Err(err).Str("volume", v.ID).Msg("a volume's folder was not removed")
	}
}
