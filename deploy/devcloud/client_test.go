package devcloud_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/rootless"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// The hypervisor starts this program once more as a server's keeper.
func TestMain(m *testing.M) {
	rootless.Keep()
	os.Exit(m.Run())
}

// client speaks to all services of a cloud.
type client struct {
	t                                *testing.T
	ctx                              context.Context
	cloud                            *devcloud.Cloud
	provider                         *gophercloud.ProviderClient
	compute, image, network, storage *gophercloud.ServiceClient
}

func connect(t *testing.T, cloud *devcloud.Cloud) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	provider, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{
		IdentityEndpoint: cloud.AuthURL(), Username: devcloud.User, Password: cloud.Password(), TenantName: devcloud.Project,
		DomainName: devcloud.Domain, AllowReauth: true,
	})
	must(t, err)
	c := &client{t: t, ctx: ctx, cloud: cloud, provider: provider}
	where := gophercloud.EndpointOpts{Region: devcloud.Region}
	c.compute, err = openstack.NewComputeV2(provider, where)
	must(t, err)
	c.compute.Microversion = "2.60"
	c.image, err = openstack.NewImageV2(provider, where)
	must(t, err)
	c.network, err = openstack.NewNetworkV2(provider, where)
	must(t, err)
	c.storage, err = openstack.NewBlockStorageV3(provider, where)
	must(t, err)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// upload makes an active image.
func (c *client) upload(data string) string {
	c.t.Helper()
	i, err := images.Create(c.ctx, c.image, images.CreateOpts{Name: "stemcell", DiskFormat: "raw", ContainerFormat: "bare"}).Extract()
	must(c.t, err)
	must(c.t, imagedata.Upload(c.ctx, c.image, i.ID, strings.NewReader(data)).ExtractErr())
	return i.ID
}

// boot makes a server and waits until it is ACTIVE.
func (c *client) boot(image string, change ...func(*servers.CreateOpts)) *servers.Server {
	c.t.Helper()
	o := servers.CreateOpts{Name: "vm", ImageRef: image, FlavorRef: "2", Networks: []servers.Network{{UUID: c.cloud.NetworkID()}}}
	for _, f := range change {
		f(&o)
	}
	s, err := servers.Create(c.ctx, c.compute, o, nil).Extract()
	must(c.t, err)
	return c.await(s.ID, "ACTIVE")
}

// await polls, as a client of OpenStack must, until a server has the status.
func (c *client) await(id, status string) *servers.Server {
	c.t.Helper()
	var s *servers.Server
	c.until(func() bool {
		var err error
		s, err = servers.Get(c.ctx, c.compute, id).Extract()
		must(c.t, err)
		if s.Status == "ERROR" && status != "ERROR" {
			c.t.Fatalf("server in error: %s", s.Fault.Message)
		}
		return s.Status == status
	})
	return s
}

// gone polls until the server is no more.
func (c *client) gone(id string) {
	c.t.Helper()
	c.until(func() bool {
		_, err := servers.Get(c.ctx, c.compute, id).Extract()
		if err != nil && !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			c.t.Fatal(err)
		}
		return err != nil
	})
}

// until asks again and again until the answer is yes.
func (c *client) until(ok func() bool) {
	c.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			c.t.Fatal("waited in vain")
		}
	}
}

// call sends a request as it is, and gives status and body.
func (c *client) call(method, url, body string, headers ...string) (int, string, http.Header) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.ctx, method, url, strings.NewReader(body))
	must(c.t, err)
	req.Header.Set("X-Auth-Token", c.provider.Token())
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	must(c.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(c.t, err)
	return resp.StatusCode, string(b), resp.Header
}

// field finds a value in a JSON body.
func field(t *testing.T, body string, path ...string) any {
	t.Helper()
	var v any
	must(t, json.Unmarshal([]byte(body), &v))
	for _, key := range path {
		object, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("no %v in %s", path, body)
		}
		v = object[key]
	}
	return v
}

func refused(t *testing.T, err error, status int) {
	t.Helper()
	if !gophercloud.ResponseCodeIs(err, status) {
		t.Fatalf("want HTTP %d, got: %v", status, err)
	}
}
