package devcloud

import (
	"encoding/json"
	"net/http"
	"strings"
)

const defaultType = "standard"

type volumeKind struct{ ID, Name string }

func volumeTypes() []volumeKind {
	return []volumeKind{
		{"6685584b-1eac-4da6-b5c3-555430cf68ff", defaultType}, {"8eb69a46-df97-4e41-9586-9a40a7533803", "fast"},
	}
}

// volumeType finds one by name or id, the default by "".
func volumeType(name string) *volumeKind {
	for _, t := range volumeTypes() {
		if name == t.Name || name == t.ID || name == "" && t.Name == defaultType {
			return &t
		}
	}
	return nil
}

func (t volumeKind) json() m {
	return m{"id": t.ID, "name": t.Name, "description": nil, "is_public": true, "extra_specs": m{}, "qos_specs_id": nil}
}

func (c *Cloud) volumeRoutes(open, private func(string, endpoint)) {
	versions := func(*http.Request) (int, any, error) {
		return http.StatusMultipleChoices, m{"versions": []m{{
			"id": "v3.0", "status": "CURRENT", "version": "3.70", "min_version": "3.0", "updated": "2023-08-31T00:00:00Z",
			"links": []m{{"rel": "self", "href": c.URL() + "/volume/v3/"}},
		}}}, nil
	}
	open("GET /volume", versions)
	open("GET /volume/{$}", versions)
	open("GET /volume/v3/{$}", versions)
	const root = "/volume/v3/{project}"
	project := func(pattern string, e endpoint) {
		private(pattern, func(r *http.Request) (int, any, error) {
			if r.PathValue("project") != c.projectID {
				return 0, nil, novaError(http.StatusBadRequest, "Malformed request url")
			}
			return e(r)
		})
	}
	project("POST "+root+"/volumes", c.createVolume)
	project("GET "+root+"/volumes", c.listVolumes(false))
	project("GET "+root+"/volumes/detail", c.listVolumes(true))
	project("GET "+root+"/volumes/{id}", c.withVolume(func(v *volume, _ *http.Request) (int, any, error) {
		return http.StatusOK, m{"volume": c.volumeDetail(v)}, nil
	}))
	project("PUT "+root+"/volumes/{id}", c.withVolume(c.updateVolume))
	project("DELETE "+root+"/volumes/{id}", c.withVolume(c.deleteVolume))
	project("POST "+root+"/volumes/{id}/action", c.withVolume(c.volumeAction))
	metadata(project, root+"/volumes", func(id string) (map[string]string, error) {
		if v, ok := c.volumes[id]; ok {
			return v.Metadata, nil
		}
		return nil, noVolume(id)
	})
	c.snapshotRoutes(project, root)
	project("GET "+root+"/types", func(*http.Request) (int, any, error) {
		list := []m{}
		for _, t := range volumeTypes() {
			list = append(list, t.json())
		}
		return http.StatusOK, m{"volume_types": list}, nil
	})
	project("GET "+root+"/types/{id}", func(r *http.Request) (int, any, error) {
		id := r.PathValue("id")
		if id == "default" {
			id = defaultType
		}
		t := volumeType(id)
		if t == nil {
			return 0, nil, novaError(http.StatusNotFound, "Volume type %s could not be found.", id)
		}
		return http.StatusOK, m{"volume_type": t.json()}, nil
	})
	project("GET "+root+"/os-availability-zone", func(*http.Request) (int, any, error) {
		return http.StatusOK, m{"availabilityZoneInfo": []m{{"zoneName": Zone, "zoneState": m{"available": true}}}}, nil
	})
	project("GET "+root+"/limits", c.volumeLimits)
	project("GET "+root+"/os-quota-sets/{tenant}", func(r *http.Request) (int, any, error) {
		q := c.o.Quota
		return http.StatusOK, m{"quota_set": m{"id": r.PathValue("tenant"), "volumes": q.Volumes, "gigabytes": q.Gigabytes, "snapshots": q.Snapshots}}, nil
	})
}

func (c *Cloud) volumeLimits(*http.Request) (int, any, error) {
	size := 0
	for _, v := range c.volumes {
		size += v.Size
	}
	return http.StatusOK, m{"limits": m{"rate": []m{}, "absolute": m{
		"maxTotalVolumes": c.o.Quota.Volumes, "totalVolumesUsed": len(c.volumes), "maxTotalVolumeGigabytes": c.o.Quota.Gigabytes,
		"totalGigabytesUsed": size, "maxTotalSnapshots": c.o.Quota.Snapshots, "totalSnapshotsUsed": len(c.snapshots),
	}}}, nil
}

func (c *Cloud) listVolumes(detail bool) endpoint {
	return func(r *http.Request) (int, any, error) {
		q := r.URL.Query()
		wanted := dictionary(q.Get("metadata"))
		list := listed(c.volumes, func(v *volume) bool {
			for k, value := range wanted {
				if have, ok := v.Metadata[k]; !ok || have != value {
					return false
				}
			}
			return matches(q.Get("name"), v.Name) && matches(q.Get("status"), v.Status) && matches(q.Get("availability_zone"), v.Zone)
		})
		list, next, err := page(r, list, 1000)
		if err != nil {
			return 0, nil, err
		}
		found := []m{}
		for _, v := range list {
			if detail {
				found = append(found, c.volumeDetail(v))
			} else {
				found = append(found, m{"id": v.ID, "name": v.Name, "links": []m{}})
			}
		}
		return http.StatusOK, c.links(m{"volumes": found}, "volumes_links", next), nil
	}
}

// matches tells whether a filter, "" for none, keeps a value.
func matches(filter, value string) bool { return filter == "" || filter == value }

// dictionary reads a metadata filter: JSON, or a Python dict as most clients
// send it.
func dictionary(s string) map[string]string {
	out := map[string]string{}
	if s == "" || json.Unmarshal([]byte(s), &out) == nil {
		return out
	}
	_ = json.Unmarshal([]byte(strings.ReplaceAll(s, "'", `"`)), &out) // no filter when it is neither
	return out
}

func (c *Cloud) updateVolume(v *volume, r *http.Request) (int, any, error) {
	var req volumeRequest
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	if req.Volume.Name != nil {
		v.Name = *req.Volume.Name
	}
	if req.Volume.Description != nil {
		v.Description = *req.Volume.Description
	}
	if req.Volume.Metadata != nil {
		v.Metadata = copied(req.Volume.Metadata)
	}
	v.Updated = c.tick()
	return http.StatusOK, m{"volume": c.volumeJSON(v)}, nil
}

func (c *Cloud) volumeAction(v *volume, r *http.Request) (int, any, error) {
	var req struct {
		Extend *struct {
			Size int `json:"new_size"`
		} `json:"os-extend"`
		Retype *struct {
			Type string `json:"new_type"`
		} `json:"os-retype"`
		Reset *struct {
			Status string `json:"status"`
		} `json:"os-reset_status"`
	}
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	switch {
	case req.Extend != nil:
		if v.Status != "available" {
			return 0, nil, novaError(http.StatusBadRequest, "Invalid volume: Volume %s status must be '['available']' to extend, currently %s.", v.ID, v.Status)
		}
		if req.Extend.Size <= v.Size {
			return 0, nil, novaError(http.StatusBadRequest, "Invalid input received: New size for extend must be greater than current size. (current: %d, extended: %d).", v.Size, req.Extend.Size)
		}
		v.Status = "extending"
		c.soon(func() { v.Status, v.Size, v.Updated = "available", req.Extend.Size, c.tick() })
	case req.Retype != nil:
		t := volumeType(req.Retype.Type)
		if t == nil {
			return 0, nil, novaError(http.StatusNotFound, "Volume type with name %s could not be found.", req.Retype.Type)
		}
		v.Type = t.Name
	case req.Reset != nil:
		v.Status = req.Reset.Status
	default:
		return 0, nil, novaError(http.StatusBadRequest, "There is no such action")
	}
	return http.StatusAccepted, nil, nil
}
