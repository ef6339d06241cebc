package devcloud

import (
	"context"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// image is one of Glance. Its states are queued, saving and active.
type image struct {
	head
	Status, Visibility string
	Disk, Container    string // formats
	MinDisk, MinRAM    int
	Protected          bool
	Size               int64
	Checksum           string // MD5
	Properties         map[string]string
	Updated            time.Time
}

func (c *Cloud) imageDir(id string) string  { return filepath.Join(c.o.Dir, "images", id) }
func (c *Cloud) imageFile(id string) string { return filepath.Join(c.imageDir(id), "data") }

func (c *Cloud) imageJSON(i *image) m {
	out := m{}
	for k, v := range i.Properties {
		out[k] = v
	}
	maps.Copy(out, m{
		"id": i.ID, "name": i.Name, "status": i.Status, "visibility": i.Visibility, "tags": slices.Clone(i.Tags),
		"disk_format": orNull(i.Disk), "container_format": orNull(i.Container), "min_disk": i.MinDisk, "min_ram": i.MinRAM,
		"protected": i.Protected, "os_hidden": false, "owner": c.projectID, "virtual_size": nil,
		"size": nil, "checksum": nil, "os_hash_algo": nil, "os_hash_value": nil,
		"created_at": i.Created.Format(time.RFC3339), "updated_at": i.Updated.Format(time.RFC3339),
		"self": "/v2/images/" + i.ID, "file": "/v2/images/" + i.ID + "/file", "schema": "/v2/schemas/image",
	})
	if i.Status == "active" {
		maps.Copy(out, m{"size": i.Size, "checksum": i.Checksum, "virtual_size": i.Size})
	}
	return out
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (c *Cloud) imageRoutes(open, private func(string, endpoint), stream func(string, upload)) {
	versions := func(*http.Request) (int, any, error) {
		return http.StatusMultipleChoices, m{"versions": []m{{
			"id": "v2.16", "status": "CURRENT", "links": []m{{"rel": "self", "href": c.URL() + "/image/v2/"}},
		}}}, nil
	}
	open("GET /image", versions)
	open("GET /image/{$}", versions)
	const root = "/image/v2/images"
	private("POST "+root, c.createImage)
	private("GET "+root, c.listImages)
	private("GET "+root+"/{id}", c.withImage(func(i *image, _ *http.Request) (int, any, error) {
		return http.StatusOK, c.imageJSON(i), nil
	}))
	private("PATCH "+root+"/{id}", c.withImage(c.patchImage))
	private("DELETE "+root+"/{id}", c.withImage(c.deleteImage))
	private("PUT "+root+"/{id}/tags/{tag}", c.withImage(func(i *image, r *http.Request) (int, any, error) {
		if tag := r.PathValue("tag"); !slices.Contains(i.Tags, tag) {
			i.Tags = append(i.Tags, tag)
		}
		return http.StatusNoContent, nil, nil
	}))
	private("DELETE "+root+"/{id}/tags/{tag}", c.withImage(func(i *image, r *http.Request) (int, any, error) {
		at := slices.Index(i.Tags, r.PathValue("tag"))
		if at < 0 {
			return 0, nil, glanceError(http.StatusNotFound, "The tag %s does not exist.", r.PathValue("tag"))
		}
		i.Tags = slices.Delete(i.Tags, at, at+1)
		return http.StatusNoContent, nil, nil
	}))
	stream("PUT "+root+"/{id}/file", c.uploadImage)
	stream("GET "+root+"/{id}/file", c.downloadImage)
}

func noImage(id string) error {
	return glanceError(http.StatusNotFound, "No image found with ID %s", id)
}

func (c *Cloud) withImage(do func(*image, *http.Request) (int, any, error)) endpoint {
	return func(r *http.Request) (int, any, error) {
		i, ok := c.images[r.PathValue("id")]
		if !ok {
			return 0, nil, noImage(r.PathValue("id"))
		}
		return do(i, r)
	}
}

func (c *Cloud) createImage(r *http.Request) (int, any, error) {
	var req map[string]any
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	i := &image{Status: "queued", Visibility: "shared", Properties: map[string]string{}}
	var tags []string
	var id, name string
	for k, v := range req {
		var ok bool
		switch k {
		case "id":
			id, ok = v.(string)
		case "name":
			name, ok = v.(string)
		case "visibility":
			i.Visibility, ok = v.(string)
			ok = ok && slices.Contains([]string{"public", "private", "shared", "community"}, i.Visibility)
		case "disk_format":
			i.Disk, ok = v.(string)
			ok = ok && slices.Contains([]string{"ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"}, i.Disk)
		case "container_format":
			i.Container, ok = v.(string)
			ok = ok && slices.Contains([]string{"ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"}, i.Container)
		case "min_disk":
			i.MinDisk, ok = natural(v)
		case "min_ram":
			i.MinRAM, ok = natural(v)
		case "protected":
			i.Protected, ok = v.(bool)
		case "tags":
			tags, ok = texts(v)
		case "status", "created_at", "updated_at", "checksum", "size", "self", "file", "schema", "virtual_size", "direct_url":
			return 0, nil, glanceError(http.StatusForbidden, "Attribute '%s' is read-only.", k)
		default:
			i.Properties[k], ok = v.(string)
		}
		if !ok {
			return 0, nil, glanceError(http.StatusBadRequest, "Provided object does not match schema 'image': %v is not valid for %s", v, k)
		}
	}
	if id == "" {
		id = uuid.NewString()
	} else if parsed, err := uuid.Parse(id); err != nil || parsed.String() != strings.ToLower(id) {
		return 0, nil, glanceError(http.StatusBadRequest, "Provided object does not match schema 'image': '%s' is not a valid id", id)
	}
	if c.images[id] != nil || c.burnt[id] {
		return 0, nil, glanceError(http.StatusConflict, "Image ID %s already exists!", id)
	}
	if over(c.o.Quota.Images, len(c.images)+1) {
		return 0, nil, glanceError(http.StatusRequestEntityTooLarge, "Project %s is over a limit for image_count_total: limit of %d", c.projectID, c.o.Quota.Images)
	}
	i.head = c.begin(r, id, name)
	i.Tags, i.Updated = unique(tags), i.Created
	c.images[id] = i
	return http.StatusCreated, c.imageJSON(i), nil
}

func natural(v any) (int, bool) {
	f, ok := v.(float64)
	return int(f), ok && f >= 0 && f == float64(int(f))
}

func texts(v any) ([]string, bool) {
	list, ok := v.([]any)
	out := make([]string, 0, len(list))
	for _, item := range list {
		s, isText := item.(string)
		ok = ok && isText && len(s) <= 255
		out = append(out, s)
	}
	return out, ok
}

func unique(tags []string) []string {
	out := []string{}
	for _, tag := range tags {
		if !slices.Contains(out, tag) {
			out = append(out, tag)
		}
	}
	return out
}

func (c *Cloud) listImages(r *http.Request) (int, any, error) {
	q := r.URL.Query()
	list := listed(c.images, func(i *image) bool { return i.fits(q) })
	list, next, err := page(r, list, 25)
	if err != nil {
		return 0, nil, err
	}
	found := []m{}
	for _, i := range list {
		found = append(found, c.imageJSON(i))
	}
	body := m{"images": found, "first": "/v2/images", "schema": "/v2/schemas/images"}
	if next != "" {
		body["next"] = strings.TrimPrefix(next, "/image")
	}
	return http.StatusOK, body, nil
}

// fits tells whether a listing's filters keep the image.
func (i *image) fits(q map[string][]string) bool {
	fields := map[string]string{
		"id": i.ID, "name": i.Name, "status": i.Status, "visibility": i.Visibility, "disk_format": i.Disk, "container_format": i.Container,
		"protected": strconv.FormatBool(i.Protected),
	}
	for k, values := range q {
		have, known := fields[k]
		switch {
		case k == "tag":
			if slices.ContainsFunc(values, func(tag string) bool { return !slices.Contains(i.Tags, tag) }) {
				return false
			}
		case slices.Contains([]string{"limit", "marker", "sort", "sort_key", "sort_dir", "member_status", "os_hidden", "owner", "size_min", "size_max"}, k):
		case k == "visibility" && values[0] == "all":
		case known:
			wanted, several := strings.CutPrefix(values[0], "in:")
			if (!several && have != values[0]) || (several && !slices.Contains(strings.Split(wanted, ","), have)) {
				return false
			}
		case i.Properties[k] != values[0]:
			return false
		}
	}
	return true
}

func (c *Cloud) deleteImage(i *image, _ *http.Request) (int, any, error) {
	if i.Protected {
		return 0, nil, glanceError(http.StatusForbidden, "Image %s is protected and cannot be deleted.", i.ID)
	}
	delete(c.images, i.ID)
	c.burnt[i.ID] = true
	c.work(func(context.Context) { c.discard(i.ID) })
	return http.StatusNoContent, nil, nil
}

// discard removes what is on disk of an image. Servers keep their hard links.
func (c *Cloud) discard(id string) {
	if c.o.Hypervisor != nil {
		if err := c.o.Hypervisor.Forget(Image{ID: id, Path: c.imageFile(id)}); err != nil {
			c.o.Log.Warn().Err(err).Str("image", id).Msg("what was kept of an image was not removed")
		}
	}
	if err := os.RemoveAll(c.imageDir(id)); err != nil {
		c.o.Log.Warn().Err(err).Str("image", id).Msg("an image's file was not removed")
	}
}
