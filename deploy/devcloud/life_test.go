package devcloud_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/cloudtest"
)

// volumeIs waits for a volume's status.
func (c *client) volumeIs(id, status string) *volumes.Volume {
	c.t.Helper()
	var v *volumes.Volume
	c.until(func() bool {
		var err error
		v, err = volumes.Get(c.ctx, c.storage, id).Extract()
		must(c.t, err)
		return v.Status == status
	})
	return v
}

func TestLife(t *testing.T) {
	t.Parallel()
	for name, latency := range map[string]time.Duration{"instant": 0, "slow": 20 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, cloudtest.Start(t, func(o *devcloud.Options) { o.Latency = latency }))
			life(t, c)
			if left := c.cloud.Inventory(); !left.Empty() {
				t.Errorf("left behind: %+v", left)
			}
		})
	}
}

func life(t *testing.T, c *client) {
	image := c.upload("an image")
	c.until(func() bool {
		i, err := images.Get(c.ctx, c.image, image).Extract()
		must(t, err)
		return i.Status == images.ImageStatusActive && i.SizeBytes == 8
	})
	port, err := ports.Create(c.ctx, c.network, ports.CreateOpts{
		NetworkID: c.cloud.NetworkID(), Name: "port", FixedIPs: []ports.IP{{IPAddress: "127.20.3.4"}},
	}).Extract()
	must(t, err)
	s := c.boot(image, func(o *servers.CreateOpts) {
		o.Networks = []servers.Network{{Port: port.ID}}
		o.Tags, o.Metadata, o.UserData = []string{"a", "b"}, map[string]string{"k": "v"}, []byte(`{"registry":{}}`)
	})
	if diff := cmp.Diff([]string{"a", "b"}, *s.Tags); diff != "" || s.Metadata["k"] != "v" {
		t.Errorf("tags or metadata are lost: %s %v", diff, s.Metadata)
	}
	floating, err := floatingips.List(c.network, floatingips.ListOpts{FloatingIP: "203.0.113.10"}).AllPages(c.ctx)
	must(t, err)
	ips, err := floatingips.ExtractFloatingIPs(floating)
	must(t, err)
	_, err = floatingips.Update(c.ctx, c.network, ips[0].ID, floatingips.UpdateOpts{PortID: &port.ID}).Extract()
	must(t, err)
	s = c.await(s.ID, "ACTIVE")
	kinds := map[string]string{}
	for _, a := range s.Addresses[devcloud.Network].([]any) {
		kinds[a.(map[string]any)["OS-EXT-IPS:type"].(string)] = a.(map[string]any)["addr"].(string)
	}
	if diff := cmp.Diff(map[string]string{"fixed": "127.20.3.4", "floating": "203.0.113.10"}, kinds); diff != "" {
		t.Error(diff)
	}
	c.disks(s.ID)
	must(t, servers.Reboot(c.ctx, c.compute, s.ID, servers.RebootOpts{Type: servers.SoftReboot}).ExtractErr())
	c.await(s.ID, "ACTIVE")
	must(t, servers.Delete(c.ctx, c.compute, s.ID).ExtractErr())
	c.gone(s.ID)
	p, err := ports.Get(c.ctx, c.network, port.ID).Extract()
	must(t, err)
	if p.DeviceID != "" || p.Status != "DOWN" {
		t.Errorf("a port that the user made is still plugged: %+v", p)
	}
	must(t, ports.Delete(c.ctx, c.network, port.ID).ExtractErr())
	must(t, images.Delete(c.ctx, c.image, image).ExtractErr())
}

func (c *client) disks(server string) {
	t := c.t
	v, err := volumes.Create(c.ctx, c.storage, volumes.CreateOpts{Size: 2, Name: "disk", Metadata: map[string]string{"step": "s1"}}, nil).Extract()
	must(t, err)
	if v.Status != "creating" {
		t.Errorf("a new volume is %s", v.Status)
	}
	c.volumeIs(v.ID, "available")
	found, err := volumes.List(c.storage, volumes.ListOpts{Metadata: map[string]string{"step": "s1"}}).AllPages(c.ctx)
	must(t, err)
	list, err := volumes.ExtractVolumes(found)
	must(t, err)
	if len(list) != 1 || list[0].ID != v.ID {
		t.Errorf("found by metadata: %+v", list)
	}
	a, err := volumeattach.Create(c.ctx, c.compute, server, volumeattach.CreateOpts{VolumeID: v.ID}).Extract()
	must(t, err)
	used := c.volumeIs(v.ID, "in-use")
	if a.Device != "/dev/sdb" || len(used.Attachments) != 1 || used.Attachments[0].Device != a.Device || used.Attachments[0].ServerID != server {
		t.Errorf("attached as %s, Cinder says %+v", a.Device, used.Attachments)
	}
	refused(t, volumes.Delete(c.ctx, c.storage, v.ID, nil).ExtractErr(), http.StatusBadRequest)
	_, err = volumeattach.Create(c.ctx, c.compute, server, volumeattach.CreateOpts{VolumeID: v.ID}).Extract()
	refused(t, err, http.StatusBadRequest)
	must(t, volumeattach.Delete(c.ctx, c.compute, server, v.ID).ExtractErr())
	c.volumeIs(v.ID, "available")
	refused(t, volumeattach.Delete(c.ctx, c.compute, server, v.ID).ExtractErr(), http.StatusNotFound)
	must(t, volumes.ExtendSize(c.ctx, c.storage, v.ID, volumes.ExtendSizeOpts{NewSize: 3}).ExtractErr())
	c.until(func() bool { return c.volumeIs(v.ID, "available").Size == 3 })
	snap, err := snapshots.Create(c.ctx, c.storage, snapshots.CreateOpts{VolumeID: v.ID, Name: "snap"}).Extract()
	must(t, err)
	c.until(func() bool {
		s, err := snapshots.Get(c.ctx, c.storage, snap.ID).Extract()
		must(t, err)
		return s.Status == "available"
	})
	refused(t, volumes.Delete(c.ctx, c.storage, v.ID, nil).ExtractErr(), http.StatusBadRequest)
	must(t, snapshots.Delete(c.ctx, c.storage, snap.ID).ExtractErr())
	c.until(func() bool { return len(c.cloud.Inventory().Snapshots) == 0 })
	must(t, volumes.Delete(c.ctx, c.storage, v.ID, nil).ExtractErr())
	c.until(func() bool { return len(c.cloud.Inventory().Volumes) == 0 })
}
