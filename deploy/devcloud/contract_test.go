package devcloud_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/cloudtest"
)

const absent = "5e1f0a3c-0000-4000-8000-000000000000"

// Each service has errors of its own shape.
func TestErrorBodies(t *testing.T) {
	t.Parallel()
	c := connect(t, cloudtest.Start(t))
	for name, tc := range map[string]struct {
		method, url, body string
		status            int
		path              []string
		want              any
	}{
		"nova":      {"GET", c.compute.Endpoint + "servers/" + absent, "", 404, []string{"itemNotFound", "message"}, "Instance " + absent + " could not be found."},
		"cinder":    {"GET", c.storage.Endpoint + "volumes/" + absent, "", 404, []string{"itemNotFound", "message"}, "Volume " + absent + " could not be found."},
		"neutron":   {"GET", c.network.ResourceBase + "ports/" + absent, "", 404, []string{"NeutronError", "type"}, "PortNotFound"},
		"glance":    {"GET", c.image.ResourceBase + "images/" + absent, "", 404, []string{"code"}, "404 Not Found"},
		"keystone":  {"POST", c.cloud.AuthURL() + "/auth/tokens", "{}", 400, []string{"error", "title"}, "Bad Request"},
		"malformed": {"POST", c.compute.Endpoint + "servers", "{", 400, []string{"badRequest", "code"}, 400.0},
		"address": {"POST", c.network.ResourceBase + "ports", fmt.Sprintf(`{"port":{"network_id":%q,"fixed_ips":[{"ip_address":"10.0.0.1"}]}}`, c.cloud.NetworkID()),
			400, []string{"NeutronError", "type"}, "InvalidIpForNetwork"},
		"volume size": {"POST", c.storage.Endpoint + "volumes", `{"volume":{"size":0}}`, 400, []string{"badRequest", "code"}, 400.0},
		"no such":     {"GET", c.compute.Endpoint + "nothing", "", 404, []string{"itemNotFound", "code"}, 404.0},
		"image id":    {"POST", c.image.ResourceBase + "images", `{"id":"x"}`, 400, []string{"title"}, "Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body, _ := c.call(tc.method, tc.url, tc.body, "Accept", "application/json")
			if got := field(t, body, tc.path...); status != tc.status || got != tc.want {
				t.Errorf("got %d %s", status, body)
			}
		})
	}
	status, body, _ := c.call("GET", c.image.ResourceBase+"images/"+absent, "")
	if status != 404 || !strings.Contains(body, "<h1>404 Not Found</h1>") {
		t.Errorf("Glance's page: %d %s", status, body)
	}
}

func TestClientsImageID(t *testing.T) {
	t.Parallel()
	c := connect(t, cloudtest.Start(t))
	o := images.CreateOpts{ID: absent, Name: "i", DiskFormat: "raw", ContainerFormat: "bare", Tags: []string{"step-1"}, Properties: map[string]string{"os_type": "linux"}}
	made, err := images.Create(c.ctx, c.image, o).Extract()
	must(t, err)
	if made.ID != absent || made.Status != images.ImageStatusQueued || made.Properties["os_type"] != "linux" {
		t.Errorf("made %+v", made)
	}
	_, err = images.Create(c.ctx, c.image, o).Extract()
	refused(t, err, http.StatusConflict)
	for _, tc := range []struct {
		o    images.ListOpts
		want int
	}{{images.ListOpts{Tags: []string{"step-1"}}, 1}, {images.ListOpts{Tags: []string{"step-1", "other"}}, 0}, {images.ListOpts{Name: "i"}, 1}, {images.ListOpts{Status: images.ImageStatusActive}, 0}} {
		page, err := images.List(c.image, tc.o).AllPages(c.ctx)
		must(t, err)
		found, err := images.ExtractImages(page)
		must(t, err)
		if len(found) != tc.want {
			t.Errorf("%+v finds %d images", tc.o, len(found))
		}
	}
	must(t, images.Delete(c.ctx, c.image, absent).ExtractErr())
	_, err = images.Create(c.ctx, c.image, o).Extract() // the id is burnt
	refused(t, err, http.StatusConflict)
}

func TestFixedAddress(t *testing.T) {
	t.Parallel()
	c := connect(t, cloudtest.Start(t))
	o := ports.CreateOpts{NetworkID: c.cloud.NetworkID(), FixedIPs: []ports.IP{{IPAddress: "127.20.0.77"}}}
	p, err := ports.Create(c.ctx, c.network, o).Extract()
	must(t, err)
	status, body, _ := c.call("POST", c.network.ResourceBase+"ports", fmt.Sprintf(`{"port":{"network_id":%q,"fixed_ips":[{"ip_address":"127.20.0.77"}]}}`, o.NetworkID))
	want := "IP address 127.20.0.77 already allocated in subnet " + p.FixedIPs[0].SubnetID
	if status != http.StatusConflict || field(t, body, "NeutronError", "type") != "IpAddressAlreadyAllocated" || field(t, body, "NeutronError", "message") != want {
		t.Errorf("got %d %s", status, body)
	}
	image := c.upload("x")
	c.boot(image, func(o *servers.CreateOpts) { o.Networks = []servers.Network{{Port: p.ID}} })
	_, err = servers.Create(c.ctx, c.compute, servers.CreateOpts{Name: "b", ImageRef: image, FlavorRef: "2", Networks: []servers.Network{{Port: p.ID}}}, nil).Extract()
	refused(t, err, http.StatusConflict)
	if n := len(c.cloud.Inventory().Servers); n != 1 {
		t.Errorf("%d servers", n)
	}
}

func TestMicroversions(t *testing.T) {
	t.Parallel()
	c := connect(t, cloudtest.Start(t))
	image := c.upload("x")
	body := func(more string) string {
		return fmt.Sprintf(`{"server":{"name":"a","imageRef":%q,"flavorRef":"2"%s}}`, image, more)
	}
	for name, tc := range map[string]struct {
		version, body string
		status        int
	}{
		"2.1 needs no networks":  {"2.1", body(""), 202},
		"2.37 needs networks":    {"2.37", body(""), 400},
		"2.37 knows auto":        {"2.37", body(`,"networks":"auto"`), 202},
		"2.51 knows no tags":     {"2.51", body(`,"networks":"auto","tags":["a"]`), 400},
		"2.52 knows tags":        {"2.52", body(`,"networks":"auto","tags":["a"]`), 202},
		"a tag with a comma":     {"2.52", body(`,"networks":"auto","tags":["a,b"]`), 400},
		"latest":                 {"latest", body(`,"networks":"none"`), 202},
		"newer than the cloud":   {"2.999", body(""), 406},
		"bad user data":          {"2.1", body(`,"user_data":"!"`), 400},
		"unknown security group": {"2.1", body(`,"security_groups":[{"name":"none"}]`), 400},
		"unknown zone":           {"2.1", body(`,"availability_zone":"mars"`), 400},
		"unknown key":            {"2.1", body(`,"key_name":"none"`), 400},
		"known everything":       {"2.1", body(`,"key_name":"dev","availability_zone":"nova","security_groups":[{"name":"bosh"}],"config_drive":true`), 202},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer, header := c.call("POST", c.compute.Endpoint+"servers", tc.body, "OpenStack-API-Version", "compute "+tc.version)
			if status != tc.status {
				t.Errorf("got %d %s", status, answer)
			}
			if tc.version == "2.52" && header.Get("OpenStack-API-Version") != "compute 2.52" {
				t.Errorf("the answer speaks %q", header.Get("OpenStack-API-Version"))
			}
		})
	}
}

func TestListServers(t *testing.T) {
	t.Parallel()
	c := connect(t, cloudtest.Start(t))
	image := c.upload("x")
	for _, name := range []string{"vm-1", "vm-2", "vm-21"} {
		c.boot(image, func(o *servers.CreateOpts) { o.Name, o.Tags = name, []string{name, "all"} })
	}
	for name, tc := range map[string]struct {
		o    servers.ListOpts
		want int
	}{
		"all":                {servers.ListOpts{}, 3},
		"name is a pattern":  {servers.ListOpts{Name: "vm-2"}, 2},
		"anchored name":      {servers.ListOpts{Name: "^vm-2$"}, 1},
		"all of the tags":    {servers.ListOpts{Tags: "vm-1,all"}, 1},
		"one of the tags":    {servers.ListOpts{TagsAny: "vm-1,vm-2"}, 2},
		"status":             {servers.ListOpts{Status: "ACTIVE"}, 3},
		"another status":     {servers.ListOpts{Status: "ERROR"}, 0},
		"one page at a time": {servers.ListOpts{Limit: 1}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := servers.List(c.compute, tc.o).AllPages(c.ctx)
			must(t, err)
			found, err := servers.ExtractServers(page)
			must(t, err)
			if len(found) != tc.want {
				t.Errorf("found %d", len(found))
			}
		})
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	quota := devcloud.DefaultQuota()
	quota.Instances, quota.Volumes, quota.Ports, quota.ImageUploadSize = 1, 1, 2, 4
	c := connect(t, cloudtest.Start(t, func(o *devcloud.Options) { o.Quota = quota }))
	image := c.upload("four")
	c.boot(image)
	_, err := servers.Create(c.ctx, c.compute, servers.CreateOpts{Name: "b", ImageRef: image, FlavorRef: "2", Networks: "auto"}, nil).Extract()
	refused(t, err, http.StatusForbidden)
	_, err = volumes.Create(c.ctx, c.storage, volumes.CreateOpts{Size: 1}, nil).Extract()
	must(t, err)
	status, body, header := c.call("POST", c.storage.Endpoint+"volumes", `{"volume":{"size":1}}`)
	if status != http.StatusRequestEntityTooLarge || field(t, body, "overLimit", "code") != 413.0 || header.Get("Retry-After") != "0" {
		t.Errorf("volumes: %d %s", status, body)
	}
	o := ports.CreateOpts{NetworkID: c.cloud.NetworkID()}
	_, err = ports.Create(c.ctx, c.network, o).Extract()
	must(t, err)
	_, err = ports.Create(c.ctx, c.network, o).Extract()
	refused(t, err, http.StatusConflict)
	made, err := images.Create(c.ctx, c.image, images.CreateOpts{Name: "big", DiskFormat: "raw", ContainerFormat: "bare"}).Extract()
	must(t, err)
	status, _, _ = c.call("PUT", c.image.ResourceBase+"images/"+made.ID+"/file", "fives", "Content-Type", "application/octet-stream")
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large an image: %d", status)
	}
}
