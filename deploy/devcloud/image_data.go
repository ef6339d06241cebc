package devcloud

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

var errTooLarge = errors.New("the image exceeds the quota")

// uploadImage streams to disk with the image in saving. An upload that was cut
// leaves it queued, as Glance does, so that it can be repeated.
func (c *Cloud) uploadImage(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	c.mu.Lock()
	i, ok := c.images[id]
	var refused error
	switch {
	case !ok:
		refused = noImage(id)
	case r.Header.Get("Content-Type") != "application/octet-stream":
		refused = glanceError(http.StatusUnsupportedMediaType, "The content type must be application/octet-stream.")
	case i.Disk == "" || i.Container == "":
		refused = glanceError(http.StatusBadRequest, "Properties disk_format, container_format must be set prior to saving data.")
	case i.Status != "queued":
		refused = glanceError(http.StatusConflict, "Image status transition from %s to saving is not allowed", i.Status)
	default:
		i.Status = "saving"
	}
	c.mu.Unlock()
	if refused != nil {
		return refused
	}
	size, sum, err := c.save(id, r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.images[id] != i {
		c.work(func(context.Context) { c.discard(id) })
		return glanceError(http.StatusGone, "Image %s could not be found after upload. The image may have been deleted during the upload.", id)
	}
	if err != nil {
		i.Status = "queued"
		if errors.Is(err, errTooLarge) {
			return glanceError(http.StatusRequestEntityTooLarge, "The size of the data exceeds the limit of %d bytes.", c.o.Quota.ImageUploadSize)
		}
		return glanceError(http.StatusBadRequest, "Unable to receive the image's data.")
	}
	i.Size, i.Checksum = size, sum
	c.soon(func() {
		if i.Status == "saving" {
			i.Status, i.Updated = "active", c.tick()
		}
	})
	c.reply(w, r, http.StatusNoContent, nil, nil)
	return nil
}

// save stores the data and gives its size and MD5 checksum.
func (c *Cloud) save(id string, body io.Reader) (int64, string, error) {
	if err := os.MkdirAll(c.imageDir(id), 0o700); err != nil {
		return 0, "", fmt.Errorf("cannot store the image: %w", err)
	}
	f, err := os.OpenFile(c.imageFile(id), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, "", fmt.Errorf("cannot store the image: %w", err)
	}
	sum, limit := md5.New(), c.o.Quota.ImageUploadSize
	if limit >= 0 {
		body = io.LimitReader(body, limit+1)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(f, sum)}, body, make([]byte, 1<<20))
	if err == nil && limit >= 0 && n > limit {
		err = errTooLarge
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, "", fmt.Errorf("cannot store the image: %w", err)
	}
	return n, hex.EncodeToString(sum.Sum(nil)), nil
}

func (c *Cloud) downloadImage(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	c.mu.Lock()
	i, ok := c.images[id]
	active := ok && i.Status == "active"
	c.mu.Unlock()
	if !ok {
		return noImage(id)
	}
	if !active {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	f, err := os.Open(filepath.Clean(c.imageFile(id)))
	if err != nil {
		return noImage(id)
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.Copy(w, f) // the client may have gone
	return nil
}

// patchImage takes JSON patches of one level: replace, add and remove.
func (c *Cloud) patchImage(i *image, r *http.Request) (int, any, error) {
	var patches []struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	if err := json.NewDecoder(r.Body).Decode(&patches); err != nil {
		return 0, nil, glanceError(http.StatusBadRequest, "Request body must be a JSON array of operation objects.")
	}
	for _, p := range patches {
		name := strings.TrimPrefix(p.Path, "/")
		text, isText := p.Value.(string)
		tags, isList := texts(p.Value)
		switch {
		case name == "tags" && isList:
			i.Tags = unique(tags)
		case name == "name" && isText:
			i.Name = text
		case name == "visibility" && isText:
			i.Visibility = text
		case slices.Contains([]string{"id", "status", "size", "checksum", "owner"}, name):
			return 0, nil, glanceError(http.StatusForbidden, "Attribute '%s' is read-only.", name)
		case p.Op == "remove":
			if _, ok := i.Properties[name]; !ok {
				return 0, nil, glanceError(http.StatusConflict, "Property %s does not exist.", name)
			}
			delete(i.Properties, name)
		case isText:
			i.Properties[name] = text
		default:
			return 0, nil, glanceError(http.StatusBadRequest, "Invalid value for %s.", name)
		}
	}
	i.Updated = c.tick()
	return http.StatusOK, c.imageJSON(i), nil
}
