package devcloud_test

import (
	"archive/tar"
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/cloudtest"
	"github.com/microbosh/microbosh/deploy/devcloud/rootless"
)

const agent = "#!/bin/sh\necho booted >>$HOME/boots\necho hello from the agent\nexec sleep 600\n"

// rootImage is a tar with one file, the agent.
func rootImage(t *testing.T, program string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Name: "var/vcap/bosh/bin/bosh-agent", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))}))
	_, err := w.Write([]byte(program))
	must(t, err)
	must(t, w.Close())
	return b.String()
}

// bootable connects to a cloud whose servers really boot.
func bootable(t *testing.T) (*client, string) {
	t.Helper()
	h, err := rootless.New(rootless.Options{})
	must(t, err)
	dir := t.TempDir()
	return connect(t, cloudtest.Start(t, func(o *devcloud.Options) { o.Dir, o.Hypervisor = dir, h })), dir
}

// TestBoot drives a server that runs, through the API alone.
func TestBoot(t *testing.T) {
	t.Parallel()
	c, dir := bootable(t)
	image := c.upload(rootImage(t, agent))
	s := c.boot(image)
	c.consoleSays(s.ID, "hello from the agent")
	must(t, images.Delete(c.ctx, c.image, image).ExtractErr()) // a server outlives its image

	root := filepath.Join(dir, "servers", s.ID, "root")
	v, err := volumes.Create(c.ctx, c.storage, volumes.CreateOpts{Size: 1}, nil).Extract()
	must(t, err)
	_, err = volumeattach.Create(c.ctx, c.compute, s.ID, volumeattach.CreateOpts{VolumeID: v.ID}).Extract()
	must(t, err)
	c.volumeIs(v.ID, "in-use")
	must(t, os.WriteFile(filepath.Join(root, "dev", "sdb", "data"), []byte("kept"), 0o600))

	must(t, servers.Reboot(c.ctx, c.compute, s.ID, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr())
	c.await(s.ID, "ACTIVE")
	c.until(func() bool {
		b, err := os.ReadFile(filepath.Join(root, "boots"))
		return err == nil && strings.Count(string(b), "booted") == 2
	})
	must(t, servers.Stop(c.ctx, c.compute, s.ID).ExtractErr())
	c.await(s.ID, "SHUTOFF")
	refused(t, servers.Stop(c.ctx, c.compute, s.ID).ExtractErr(), http.StatusConflict)
	must(t, servers.Start(c.ctx, c.compute, s.ID).ExtractErr())
	c.await(s.ID, "ACTIVE")

	must(t, volumeattach.Delete(c.ctx, c.compute, s.ID, v.ID).ExtractErr())
	c.volumeIs(v.ID, "available")
	if _, err := os.Lstat(filepath.Join(root, "dev", "sdb")); !os.IsNotExist(err) {
		t.Errorf("the device is there: %v", err)
	}
	must(t, servers.Delete(c.ctx, c.compute, s.ID).ExtractErr())
	c.gone(s.ID)
	if _, err := os.Stat(filepath.Dir(root)); !os.IsNotExist(err) {
		t.Errorf("the server's folder is there: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "volumes", v.ID, "data"))
	if err != nil || string(b) != "kept" {
		t.Errorf("the volume holds %q, %v", b, err)
	}
	must(t, volumes.Delete(c.ctx, c.storage, v.ID, nil).ExtractErr())
	if left := c.cloud.Inventory(); !left.Empty() {
		t.Errorf("left behind: %+v", left)
	}
}

func (c *client) consoleSays(id, want string) {
	c.t.Helper()
	c.until(func() bool {
		text, err := servers.ShowConsoleOutput(c.ctx, c.compute, id, servers.ShowConsoleOutputOpts{Length: 10}).Extract()
		must(c.t, err)
		return strings.Contains(text, want)
	})
}

func TestBadImageIsServersFault(t *testing.T) {
	t.Parallel()
	c, _ := bootable(t)
	image := c.upload("this is no tar")
	s, err := servers.Create(c.ctx, c.compute, servers.CreateOpts{Name: "a", ImageRef: image, FlavorRef: "1", Networks: "auto"}, nil).Extract()
	must(t, err)
	if s = c.await(s.ID, "ERROR"); !strings.Contains(s.Fault.Message, "cannot unpack the image") {
		t.Errorf("the fault is %q", s.Fault.Message)
	}
	must(t, servers.Delete(c.ctx, c.compute, s.ID).ExtractErr())
	c.gone(s.ID)
}
