package devcloud

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"
)

type image struct {
	ID, Name, Status, Visibility string
	Disk, Container              string
	Tags                         []string
	Properties                   map[string]string
	Size                         int64
	MinDisk                      int
	Created                      time.Time
	hidden                       int
}

func (i *image) createdAt() time.Time { return i.Created }

func (i *image) json() map[string]any {
	out := map[string]any{}
	for k, v := range i.Properties {
		out[k] = v
	}
	for k, v := range map[string]any{
		"id": i.ID, "name": i.Name, "status": i.Status, "visibility": i.Visibility, "disk_format": i.Disk,
		"container_format": i.Container, "tags": i.Tags, "min_disk": i.MinDisk, "min_ram": 0, "protected": false,
		"created_at": i.Created.Format(time.RFC3339), "updated_at": i.Created.Format(time.RFC3339),
		"file": "/v2/images/" + i.ID + "/file", "schema": "/v2/schemas/image", "owner": "demo", "size": nil,
	} {
		out[k] = v
	}
	if i.Status == "active" {
		out["size"] = i.Size
	}
	return out
}

func (c *Cloud) imagePath(id string) string { return filepath.Join(c.o.Dir, "images", id) }

func (c *Cloud) glance(private func(string, handle)) {
	private("POST /image/v2/images", c.createImage)
	private("GET /image/v2/images", c.listImages)
	private("GET /image/v2/images/{id}", c.withImage(func(i *image, _ *http.Request) (int, any, error) { return http.StatusOK, i.json(), nil }))
	private("DELETE /image/v2/images/{id}", c.withImage(c.deleteImage))
	private("PUT /image/v2/images/{id}/file", c.uploadImage)
	private("PUT /image/v2/images/{id}/tags/{tag}", c.withImage(func(i *image, r *http.Request) (int, any, error) {
		if tag := r.PathValue("tag"); !slices.Contains(i.Tags, tag) {
			i.Tags = append(i.Tags, tag)
		}
		return http.StatusNoContent, nil, nil
	}))
}

// withImage runs under the mutex.
func (c *Cloud) withImage(h func(*image, *http.Request) (int, any, error)) handle {
	return func(r *http.Request) (int, any, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		i, ok := c.images[r.PathValue("id")]
		if !ok {
			return 0, nil, glanceError(http.StatusNotFound, "Failed to find image %s", r.PathValue("id"))
		}
		return h(i, r)
	}
}

func (c *Cloud) createImage(r *http.Request) (int, any, error) {
	var req map[string]any
	if err := readJSON(r, &req); err != nil {
		return 0, nil, glanceError(http.StatusBadRequest, "Malformed request")
	}
	i := &image{Status: "queued", Visibility: "shared", Tags: []string{}, Properties: map[string]string{}, hidden: hidden(r)}
	for k, v := range req {
		s, _ := v.(string)
		switch k {
		case "id":
			i.ID = s
		case "name":
			i.Name = s
		case "visibility":
			i.Visibility = s
		case "disk_format":
			i.Disk = s
		case "container_format":
			i.Container = s
		case "min_disk":
			f, _ := v.(float64)
			i.MinDisk = int(f)
		case "tags":
			list, _ := v.([]any)
			for _, tag := range list {
				if s, ok := tag.(string); ok {
					i.Tags = append(i.Tags, s)
				}
			}
		default:
			i.Properties[k] = s
		}
	}
	if i.ID == "" {
		i.ID = uuid.NewString()
	} else if _, err := uuid.Parse(i.ID); err != nil {
		return 0, nil, glanceError(http.StatusBadRequest, "Invalid image id format")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.images[i.ID] != nil || c.burnt[i.ID] {
		return 0, nil, glanceError(http.StatusConflict, "Image ID %s already exists!", i.ID)
	}
	i.Created = c.tick()
	c.images[i.ID] = i
	return http.StatusCreated, i.json(), nil
}

func (c *Cloud) listImages(r *http.Request) (int, any, error) {
	q := r.URL.Query()
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []any{}
	for _, i := range sorted(c.images) {
		if i.hidden > 0 {
			i.hidden--
			continue
		}
		if (q.Get("name") != "" && q.Get("name") != i.Name) || (q.Get("status") != "" && q.Get("status") != i.Status) {
			continue
		}
		if slices.ContainsFunc(q["tag"], func(tag string) bool { return !slices.Contains(i.Tags, tag) }) {
			continue
		}
		list = append(list, i.json())
	}
	return http.StatusOK, map[string]any{"images": list, "first": "/v2/images", "schema": "/v2/schemas/images"}, nil
}

func (c *Cloud) deleteImage(i *image, _ *http.Request) (int, any, error) {
	delete(c.images, i.ID)
	c.burnt[i.ID] = true
	if err := os.RemoveAll(c.imagePath(i.ID)); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, nil
}

// uploadImage streams to disk; a cut upload leaves the image queued.
func (c *Cloud) uploadImage(r *http.Request) (int, any, error) {
	id := r.PathValue("id")
	c.mu.Lock()
	i, ok := c.images[id]
	if !ok || i.Status != "queued" {
		c.mu.Unlock()
		if !ok {
			return 0, nil, glanceError(http.StatusNotFound, "Failed to find image %s", id)
		}
		return 0, nil, glanceError(http.StatusConflict, "Image status transition from %s to saving is not allowed", i.Status)
	}
	i.Status = "saving"
	c.mu.Unlock()
	size, err := c.save(id, r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		i.Status = "queued"
		return 0, nil, glanceError(http.StatusBadRequest, "the data ended early")
	}
	i.Status, i.Size = "active", size
	return http.StatusNoContent, nil, nil
}

func (c *Cloud) save(id string, body io.Reader) (int64, error) {
	if err := os.MkdirAll(c.imagePath(id), 0o700); err != nil {
		return 0, err
	}
	f, err := os.OpenFile(filepath.Join(c.imagePath(id), "data"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	n, err := io.Copy(w, body)
	return n, errors.Join(err, w.Flush(), f.Close())
}
