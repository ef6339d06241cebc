package e2e_test

import (
	"crypto/sha1" //nolint:gosec // BOSH's digests
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/pkg/stemcell"
)

// small writes a stemcell around a disk, with these cloud properties.
func (d *deployer) small(name, sum string, disk []byte, properties string) (path string) {
	d.Helper()
	image, err := stemcell.Archive([]stemcell.File{{Path: "root.img", Mode: 0o644, Data: disk}})
	if err != nil {
		d.Fatal(err)
	}
	if sum == "" {
		digest := sha1.Sum(image) //nolint:gosec // see above
		sum = hex.EncodeToString(digest[:])
	}
	mf := fmt.Sprintf("name: %s\nversion: '1'\nsha1: %s\ncloud_properties: {%s}\n", name, sum, properties)
	whole, err := stemcell.Archive([]stemcell.File{
		{Path: "stemcell.MF", Mode: 0o644, Data: []byte(mf)}, {Path: "image", Mode: 0o644, Data: image}, {Path: "apply_spec.yml", Mode: 0o644, Data: []byte("{}")},
	})
	if err != nil {
		d.Fatal(err)
	}
	path = filepath.Join(d.dir, name+".tgz")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		d.Fatal(err)
	}
	return path
}

// What cannot become a VM is refused with its reason, by whom it may be: the
// command, the CPI, Glance, Nova's scheduler or its compute node. Nothing stays.
func TestOpenStackBadInput(t *testing.T) {
	cloud := realOpenStack(t)
	d := newDeployer(t, cloud, "micro-bad", "https://vcap:b00tstrap@0.0.0.0:6868", "")
	before := cloud.inventory()
	blank := filepath.Join(t.TempDir(), "blank.qcow2") // of 3 GB
	if out, err := exec.CommandContext(t.Context(), "qemu-img", "create", "-q", "-f", "qcow2", blank, "3G").CombinedOutput(); err != nil {
		t.Fatalf("qemu-img: %v: %s", err, out)
	}
	disk, err := os.ReadFile(blank)
	if err != nil {
		t.Fatal(err)
	}
	const qcow2 = "infrastructure: openstack, disk_format: qcow2, container_format: bare"
	cut := d.small("cut", "", disk, qcow2)
	info, err := os.Stat(cut)
	if err == nil {
		err = os.Truncate(cut, info.Size()-100)
	}
	if err != nil {
		t.Fatal(err)
	}
	fill := func(t *testing.T) { // Glance's store has less room than any image
		t.Helper()
		store := filepath.Join(filepath.Dir(os.Getenv("MICROBOSH_OPENSTACK_VM")), "glance", "images")
		if err := unix.Mount("full", store, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(store, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	tiny := func(t *testing.T) { d.flavor(t, "m1.tiny") }
	for _, c := range []struct {
		name, path string
		make       func(*testing.T)
		uploaded   bool // the image is there before the refusal
		want       []string
	}{
		{"truncated", cut, nil, false, []string{"Cannot read tarball", "stemcell_invalid"}},
		{"another digest", d.small("digest", strings.Repeat("0", 40), disk, qcow2), nil, false,
			[]string{"the image's sha1 is", "stemcell.MF says " + strings.Repeat("0", 40), "stemcell_invalid"}},
		{"another infrastructure", d.small("vsphere", "", disk, "infrastructure: vsphere"), nil, false,
			[]string{"is made for vsphere, not for openstack", "stemcell_invalid"}},
		{"another hypervisor", d.small("xen", "", disk, qcow2+", hypervisor: xen"), nil, true, []string{"No valid host was found", "vm_failed"}},
		{"another format", d.small("vmdk", "", []byte(strings.Repeat("KDMV", 1<<16)), qcow2), nil, true,
			[]string{"Image not in a supported format", "vm_failed"}},
		{"a store without room", d.small("big", "", []byte(strings.Repeat("QFI\xfb", 1<<18)), qcow2), fill, false,
			[]string{"storage media is full", "cloud_quota"}},
		{"a flavor that is too small", d.small("small", "", disk, qcow2), tiny, true,
			[]string{"Flavor's disk is too small for requested image", "vm_failed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := *d
			o.T = t
			if c.make != nil {
				c.make(t)
			}
			o.says(o.run(1, "deploy", c.path), c.want...)
			left := slices.DeleteFunc(cloud.inventory(), func(line string) bool { return slices.Contains(before, line) })
			if want := map[bool]string{true: "1 images"}[c.uploaded]; counted(left) != want {
				t.Errorf("the refusal leaves %q, want %q", counted(left), want)
			}
			if c.uploaded {
				o.run(0, "delete")
			}
			if after := cloud.inventory(); !slices.Equal(before, after) {
				t.Errorf("left over: before %v, after %v", before, after)
			}
		})
	}
}

// flavor has the manifest name another one until the test's end.
func (d *deployer) flavor(t *testing.T, name string) {
	t.Helper()
	path := filepath.Join(d.dir, "micro_bosh.yml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "m1.small", name, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Error(err)
		}
	})
}
