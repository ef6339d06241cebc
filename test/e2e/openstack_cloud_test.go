package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// openstack is a real cloud, as test/openstack tells of it, asked as a user.
type openstack struct {
	*testing.T
	AuthURL  string `json:"auth_url"`
	Username string `json:"username"`
	Password string `json:"password"`
	Project  string `json:"project"`
	Level    string `json:"level"`
	Host     string `json:"host"` // this machine, as servers reach it
	Private  struct {
		ID string `json:"id"`
	} `json:"private"`
	External struct {
		ID string `json:"id"`
	} `json:"external"`

	client    http.Client
	token     string
	endpoints map[string]string // by type
}

// realOpenStack logs in, or skips the test.
func realOpenStack(t *testing.T) *openstack {
	t.Helper()
	path := os.Getenv("MICROBOSH_OPENSTACK_VM")
	if path == "" {
		t.Skip("needs MICROBOSH_OPENSTACK_VM, a real OpenStack that boots servers (make e2e-openstack brings one up)")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o := &openstack{T: t, client: http.Client{Timeout: time.Minute}, endpoints: map[string]string{}}
	if err := json.Unmarshal(b, o); err != nil {
		t.Fatal(err)
	}
	if o.Level != "vm" {
		t.Fatalf("%s is of level %s", path, o.Level)
	}
	o.login()
	return o
}

func (o *openstack) login() {
	o.Helper()
	type m = map[string]any
	domain := m{"name": "Default"}
	var out struct {
		Token struct {
			Catalog []struct {
				Type      string
				Endpoints []struct{ Interface, URL string }
			}
		}
	}
	header := o.ask(http.MethodPost, o.AuthURL+"/auth/tokens", m{"auth": m{
		"identity": m{"methods": []string{"password"}, "password": m{"user": m{"name": o.Username, "password": o.Password, "domain": domain}}},
		"scope":    m{"project": m{"name": o.Project, "domain": domain}},
	}}, &out)
	o.token = header.Get("X-Subject-Token")
	for _, s := range out.Token.Catalog {
		for _, e := range s.Endpoints {
			if e.Interface == "public" {
				o.endpoints[s.Type] = e.URL
			}
		}
	}
}

// ask is one request, which must succeed.
func (o *openstack) ask(method, url string, body, into any) http.Header {
	o.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		o.Fatal(err)
	}
	if body == nil {
		text = nil
	}
	req, err := http.NewRequestWithContext(o.Context(), method, url, bytes.NewReader(text))
	if err != nil {
		o.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Auth-Token", o.token)
	resp, err := o.client.Do(req)
	if err != nil {
		o.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		o.Fatal(err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		o.Fatalf("%s %s answers %s: %s", method, url, resp.Status, answer)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			o.Fatalf("%s %s: %v: %s", method, url, err, answer)
		}
	}
	return resp.Header
}

// collections are where resources of a deployment are.
func (o *openstack) collections() map[string]string {
	return map[string]string{
		"servers": o.endpoints["compute"] + "/servers", "images": o.endpoints["image"] + "/v2/images",
		"volumes": o.endpoints["volumev3"] + "/volumes", "snapshots": o.endpoints["volumev3"] + "/snapshots",
		"ports": o.endpoints["network"] + "/v2.0/ports", "floatingips": o.endpoints["network"] + "/v2.0/floatingips",
	}
}

// inventory is what the project has, as sorted lines. The network's own ports
// are left out.
func (o *openstack) inventory() []string {
	o.Helper()
	var all []string
	for kind, url := range o.collections() {
		var out map[string]json.RawMessage
		o.ask(http.MethodGet, url, nil, &out)
		var list []struct {
			ID    string
			Owner string `json:"device_owner"`
		}
		if err := json.Unmarshal(out[kind], &list); err != nil {
			o.Fatal(err)
		}
		for _, r := range list {
			if !strings.HasPrefix(r.Owner, "network:") {
				all = append(all, kind+" "+r.ID)
			}
		}
	}
	slices.Sort(all)
	return all
}

// counted is how many there are of each kind.
func counted(inventory []string) string {
	n := map[string]int{}
	for _, line := range inventory {
		kind, _, _ := strings.Cut(line, " ")
		n[kind]++
	}
	var words []string
	for _, kind := range slices.Sorted(maps.Keys(n)) {
		words = append(words, fmt.Sprint(n[kind], " ", kind))
	}
	return strings.Join(words, ", ")
}

// floatingIP allocates an address until the test's end.
func (o *openstack) floatingIP() string {
	o.Helper()
	type m = map[string]any
	var out struct {
		IP struct {
			ID      string
			Address string `json:"floating_ip_address"`
		} `json:"floatingip"`
	}
	url := o.collections()["floatingips"]
	o.ask(http.MethodPost, url, m{"floatingip": m{"floating_network_id": o.External.ID}}, &out)
	o.Cleanup(func() {
		req, err := http.NewRequest(http.MethodDelete, url+"/"+out.IP.ID, nil)
		if err != nil {
			o.Error(err)
			return
		}
		req.Header.Set("X-Auth-Token", o.token)
		if resp, err := o.client.Do(req); err != nil || resp.Body.Close() != nil {
			o.Error(err)
		}
	})
	return out.IP.Address
}

// server is the only one that there is.
func (o *openstack) server() string {
	o.Helper()
	var out struct{ Servers []struct{ ID string } }
	o.ask(http.MethodGet, o.collections()["servers"], nil, &out)
	if len(out.Servers) != 1 {
		o.Fatalf("there are %d servers", len(out.Servers))
	}
	return out.Servers[0].ID
}

// console is what the server has said.
func (o *openstack) console(server string) string {
	o.Helper()
	var out struct{ Output string }
	o.ask(http.MethodPost, o.collections()["servers"]+"/"+server+"/action", map[string]any{"os-getConsoleOutput": map[string]any{}}, &out)
	return out.Output
}

// destroy removes a server behind everybody's back, and returns when it is gone.
func (o *openstack) destroy(server string) {
	o.Helper()
	o.ask(http.MethodDelete, o.collections()["servers"]+"/"+server, nil, nil)
	pause := time.NewTicker(200 * time.Millisecond)
	defer pause.Stop()
	limit := time.After(time.Minute)
	for {
		var out struct{ Servers []struct{ ID string } }
		o.ask(http.MethodGet, o.collections()["servers"], nil, &out)
		if len(out.Servers) == 0 {
			return
		}
		select {
		case <-pause.C:
		case <-limit:
			o.Fatal("the server stays")
		}
	}
}
