package conformance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// client looks into a cloud by itself, not with the CPI's eyes.
type client struct {
	t       testing.TB
	token   string
	project string
	urls    map[string]string // of the services, by type
}

type tree = map[string]any

func signIn(t testing.TB, cloud target) *client {
	return signInto(t, cloud, cloud.Username, cloud.Project)
}

func signInto(t testing.TB, cloud target, user, project string) *client {
	t.Helper()
	c := &client{t: t, urls: map[string]string{}}
	domain := tree{"name": "Default"}
	var out struct {
		Token struct {
			Project struct{ ID string } `json:"project"`
			Catalog []struct {
				Type      string
				Endpoints []struct{ Interface, URL string }
			}
		}
	}
	header := c.do(http.MethodPost, cloud.AuthURL+"/auth/tokens", tree{"auth": tree{
		"identity": tree{"methods": []string{"password"}, "password": tree{"user": tree{"name": user, "password": cloud.Password, "domain": domain}}},
		"scope":    tree{"project": tree{"name": project, "domain": domain}},
	}}, &out, http.StatusCreated)
	c.token, c.project = header.Get("X-Subject-Token"), out.Token.Project.ID
	for _, s := range out.Token.Catalog {
		for _, e := range s.Endpoints {
			if e.Interface == "public" {
				c.urls[s.Type] = strings.TrimSuffix(e.URL, "/")
			}
		}
	}
	return c
}

func (c *client) url(service, path string) string {
	base := c.urls[service]
	switch service {
	case "network":
		base = strings.TrimSuffix(base, "/v2.0") + "/v2.0"
	case "image":
		base = strings.TrimSuffix(base, "/v2") + "/v2"
	}
	return base + path
}

// do asks, and fails the test unless the status is one of those wanted.
func (c *client) do(method, url string, body, into any, want ...int) http.Header {
	c.t.Helper()
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, url, text)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Auth-Token", c.token)
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		c.t.Fatal(err)
	}
	if !slices.Contains(want, resp.StatusCode) {
		c.t.Fatalf("%s %s answers %s: %.500s", method, url, resp.Status, b)
	}
	if into != nil && resp.StatusCode < 300 {
		if err := json.Unmarshal(b, into); err != nil {
			c.t.Fatalf("%s %s: %v", method, url, err)
		}
	}
	return resp.Header
}

// thing is a resource as the cloud lists it.
type thing struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Status      string            `json:"status"`
	Size        int               `json:"size"`
	Description string            `json:"description"`
	Metadata    map[string]string `json:"metadata"`
	Tags        []string          `json:"tags"`
	DeviceID    string            `json:"device_id"`
}

var kinds = []struct{ kind, service, path, list string }{
	{"server", "compute", "/servers/detail", "servers"}, {"volume", "volumev3", "/volumes/detail", "volumes"},
	{"snapshot", "volumev3", "/snapshots/detail", "snapshots"}, {"image", "image", "/images", "images"}, {"port", "network", "/ports", "ports"},
}

// of lists everything of a deployment, by kind. A server's ports are its
// deployment's. For a moment Nova still shows a server that it calls DELETED.
func (c *client) of(uid string) map[string][]thing {
	c.t.Helper()
	out, servers := map[string][]thing{}, map[string]bool{}
	for _, k := range kinds {
		var answer map[string]json.RawMessage
		c.do(http.MethodGet, c.url(k.service, k.path), nil, &answer, http.StatusOK)
		var list []thing
		if err := json.Unmarshal(answer[k.list], &list); err != nil {
			c.t.Fatal(err)
		}
		for _, item := range list {
			mine := item.Metadata["microbosh-uid"] == uid || slices.Contains(item.Tags, uid) || strings.HasPrefix(item.Description, uid+"-") || servers[item.DeviceID]
			if mine && item.Status != "DELETED" {
				out[k.kind] = append(out[k.kind], item)
				servers[item.ID] = k.kind == "server"
			}
		}
	}
	return out
}

// count says how many there are of each kind.
func count(things map[string][]thing) string {
	var out []string
	for _, k := range kinds {
		if n := len(things[k.kind]); n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, k.kind))
		}
	}
	return strings.Join(out, ", ")
}

// sweep removes what a failed test left.
func (c *client) sweep(uid string) {
	paths := map[string][2]string{
		"server": {"compute", "/servers/"}, "snapshot": {"volumev3", "/snapshots/"}, "volume": {"volumev3", "/volumes/"},
		"image": {"image", "/images/"}, "port": {"network", "/ports/"},
	}
	if !c.t.Failed() {
		return
	}
	for kind, list := range c.of(uid) {
		for _, item := range list {
			at := paths[kind]
			c.do(http.MethodDelete, c.url(at[0], at[1]+item.ID), nil, nil, 200, 202, 204, 404, 400, 409)
		}
	}
}
