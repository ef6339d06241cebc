package devcloud_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/deploy/devcloud/cloudtest"
)

// A flavor's ephemeral disk takes the first device; it goes with the server.
func TestEphemeralDisk(t *testing.T) {
	t.Parallel()
	c, dir := bootable(t)
	s := c.boot(c.upload(rootImage(t, agent)), func(o *servers.CreateOpts) { o.FlavorRef = "4" })
	disk, err := os.Readlink(filepath.Join(dir, "servers", s.ID, "root", "dev", "sdb"))
	must(t, err)
	const gib = 1 << 30
	if size := c.cloud.VolumeSize(disk); size != 8*gib {
		t.Errorf("the ephemeral disk has %d bytes", size)
	}
	v, err := volumes.Create(c.ctx, c.storage, volumes.CreateOpts{Size: 1}, nil).Extract()
	must(t, err)
	_, err = volumeattach.Create(c.ctx, c.compute, s.ID, volumeattach.CreateOpts{VolumeID: v.ID, Device: "/dev/sdb"}).Extract()
	refused(t, err, http.StatusConflict)
	a, err := volumeattach.Create(c.ctx, c.compute, s.ID, volumeattach.CreateOpts{VolumeID: v.ID}).Extract()
	must(t, err)
	if a.Device != "/dev/sdc" {
		t.Errorf("the volume is %s", a.Device)
	}
	must(t, servers.Delete(c.ctx, c.compute, s.ID).ExtractErr())
	c.gone(s.ID)
	if _, err := os.Stat(disk); !os.IsNotExist(err) {
		t.Errorf("the ephemeral disk is there: %v", err)
	}
}

// A server that ends by itself is SHUTOFF, and can be started again.
func TestServerEndsByItself(t *testing.T) {
	t.Parallel()
	c, dir := bootable(t)
	s := c.boot(c.upload(rootImage(t, "#!/bin/sh\necho $PPID >$HOME/keeper.new\nmv $HOME/keeper.new $HOME/keeper\nexec sleep 600\n")))
	path := filepath.Join(dir, "servers", s.ID, "root", "keeper")
	var keeper int
	c.until(func() bool {
		b, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		keeper, err = strconv.Atoi(string(bytes.TrimSpace(b)))
		must(t, err)
		return true
	})
	must(t, unix.Kill(keeper, unix.SIGKILL))
	c.await(s.ID, "SHUTOFF")
	must(t, os.Remove(path))
	must(t, servers.Start(c.ctx, c.compute, s.ID).ExtractErr())
	c.await(s.ID, "ACTIVE")
	c.until(func() bool { _, err := os.Stat(path); return err == nil })
}

// Nova injects files up to 2.56, and does not know the word afterwards.
func TestInjectedFiles(t *testing.T) {
	t.Parallel()
	c, dir := bootable(t)
	image := c.upload(rootImage(t, agent))
	files := servers.Personality{&servers.File{Path: "/etc/new/file", Contents: []byte("mine")}, &servers.File{Path: "../../up", Contents: []byte("inside")}}
	with := func(o *servers.CreateOpts) { o.Personality = files }
	o := servers.CreateOpts{Name: "a", ImageRef: image, FlavorRef: "1", Networks: "auto", Personality: files}
	_, err := servers.Create(c.ctx, c.compute, o, nil).Extract()
	refused(t, err, http.StatusBadRequest)

	c.compute.Microversion = "2.56"
	s := c.boot(image, with)
	for name, want := range map[string]string{"etc/new/file": "mine", "up": "inside"} {
		b, err := os.ReadFile(filepath.Join(dir, "servers", s.ID, "root", name))
		if err != nil || string(b) != want {
			t.Errorf("%s is %q, %v", name, b, err)
		}
	}
	for range 4 {
		files = append(files, files[0])
	}
	o.Personality = files
	_, err = servers.Create(c.ctx, c.compute, o, nil).Extract()
	refused(t, err, http.StatusForbidden)
}

// A server that boots from a volume names no image; its root stays attached and
// goes with it.
func TestBootFromVolume(t *testing.T) {
	t.Parallel()
	c := connect(t, cloudtest.Start(t))
	image := c.upload("x")
	s := c.boot("", func(o *servers.CreateOpts) {
		o.BlockDevice = []servers.BlockDevice{{
			SourceType: servers.SourceImage, DestinationType: servers.DestinationVolume, UUID: image, VolumeSize: 3, DeleteOnTermination: true,
		}}
	})
	inv := c.cloud.Inventory()
	if len(inv.Volumes) != 1 || inv.Volumes[0].Status != "in-use" || s.Image != nil {
		t.Fatalf("the cloud has %+v, the server's image is %v", inv.Volumes, s.Image)
	}
	refused(t, volumeattach.Delete(c.ctx, c.compute, s.ID, inv.Volumes[0].ID).ExtractErr(), http.StatusForbidden)
	must(t, servers.Delete(c.ctx, c.compute, s.ID).ExtractErr())
	c.gone(s.ID)
	if left := c.cloud.Inventory().Volumes; len(left) != 0 {
		t.Errorf("left behind: %+v", left)
	}
}
