package linux_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/services/agent/internal/platform"
	"github.com/microbosh/microbosh/services/agent/internal/platform/linux"
)

func diskTools() []string {
	return []string{"sfdisk", "mke2fs", "mkswap", "blkid", "resize2fs", "findmnt"}
}

func TestEphemeralDisk(t *testing.T) {
	t.Parallel()
	inVM(t, diskTools(), func(v *vm) {
		v.disk("/dev/vdb", 512)
		v.must(v.SetupDataDisk(v.ctx, "/dev/sdb")) // the hypervisor calls it vdb
		v.sh("echo kept > /var/vcap/data/file")
		v.must(v.SetupDataDisk(v.ctx, "/dev/sdb"))
		v.is("findmnt -n -o FSTYPE /var/vcap/data", "ext4")
		v.sh("umount /var/vcap/data") // a boot
		v.again()
		v.must(v.SetupDataDisk(v.ctx, "/dev/sdb"))
		v.is("cat /var/vcap/data/file", "kept")
		v.is(`sfdisk --json /dev/vdb | grep -o '"name": *"[^"]*"' | tr -d ' '`, "\"name\":\"bosh-swap\"\n\"name\":\"bosh-data\"")
		v.is(`sfdisk --json /dev/vdb | grep -o '"size": *[0-9]*' | head -1 | tr -d ' '`, `"size":524288`) // half the disk
		v.sh("grep -q swapon /var/vcap/bosh/recorded/setup_data_disk.json")
	})
}

// A kill after the table, and after swap, leaves what the next start finishes.
func TestEphemeralDiskAfterAKill(t *testing.T) {
	t.Parallel()
	inVM(t, diskTools(), func(v *vm) {
		v.disk("/dev/sdb", 256)
		v.sh(`printf 'label: gpt\nsize=128MiB, type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F, name="bosh-swap"\ntype=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name="bosh-data"\n' | sfdisk --no-tell-kernel -q /dev/sdb`)
		v.must(v.SetupDataDisk(v.ctx, "/dev/sdb"))
		v.is("findmnt -n -o FSTYPE /var/vcap/data", "ext4")
	})
}

func TestNothingOfOthersIsFormatted(t *testing.T) {
	t.Parallel()
	inVM(t, diskTools(), func(v *vm) {
		cases := map[string]string{
			"/dev/sdb": "mke2fs -q -t ext4 -F -L precious /dev/sdb",
			"/dev/sdc": "mkswap /dev/sdc",
			"/dev/sdd": `echo ',,L' | sfdisk -q --label dos /dev/sdd`,
			"/dev/sde": `printf 'label: gpt\nname="theirs"\n' | sfdisk -q /dev/sde`,
		}
		for device, make := range cases {
			backing, _ := v.disk(device, 128)
			v.sh(make)
			v.sh("sync")
			before := v.sh("sha256sum < " + backing)
			v.refused(v.SetupDataDisk(v.ctx, device), "is not formatted")
			_, err := v.Mount(v.ctx, device, platform.MountOptions{Format: true})
			v.refused(err, "is not formatted")
			v.sh("sync")
			v.is("sha256sum < "+backing, before)
		}
		v.disk("/dev/sdf", 16)
		v.refused(v.SetupDataDisk(v.ctx, "/dev/sdf"), "it has 16 MiB and needs 64")
		v.sh("touch /dev/sdg")
		if _, err := v.Mount(v.ctx, "/dev/sdg", platform.MountOptions{}); err == nil || !strings.Contains(err.Error(), "Not a blockdevice") {
			v.Errorf("got %v", err)
		}
	})
}

// Nova's present on an ephemeral disk goes when it is empty, and only then.
func TestAnEmptyFileSystemOfNovaGivesWay(t *testing.T) {
	t.Parallel()
	inVM(t, append(diskTools(), "mount"), func(v *vm) {
		v.disk("/dev/sdb", 256)
		v.sh("mke2fs -q -t ext4 -F -L ephemeral0 /dev/sdb; mount /dev/sdb /mnt; echo theirs > /mnt/file")
		v.refused(v.SetupDataDisk(v.ctx, "/dev/sdb"), "is mounted at /mnt already")
		v.sh("umount /mnt")
		v.refused(v.SetupDataDisk(v.ctx, "/dev/sdb"), `it holds ext4 "ephemeral0" with files`)
		v.sh("mount /dev/sdb /mnt; cat /mnt/file; rm /mnt/file; umount /mnt")
		v.must(v.SetupDataDisk(v.ctx, "/dev/sdb"))
		v.is("findmnt -n -o FSTYPE /var/vcap/data; ls -d /var/vcap/bosh/medium-* 2>/dev/null | wc -l", "ext4\n0")
		v.disk("/dev/sdc", 256)
		v.sh("mke2fs -q -t ext4 -F -L ephemeral0 /dev/sdc")
		_, err := v.Mount(v.ctx, "/dev/sdc", platform.MountOptions{Format: true}) // no ephemeral disk
		v.refused(err, "is not formatted")
	})
}

// agent.json of a stemcell may say that the disk and /tmp are left alone.
func TestWhatAStemcellWantsLeftAlone(t *testing.T) {
	t.Parallel()
	inVM(t, diskTools(), func(v *vm) {
		backing, _ := v.disk("/dev/sdb", 128)
		before := v.sh("sha256sum < " + backing)
		machine, err := linux.New(linux.Options{Home: v.dir, Container: true, KeepTmp: true, KeepDisks: true, VirtioID: "scsi-", Log: zerolog.Nop()})
		v.must(err)
		v.must(machine.SetupDataDisk(v.ctx, "/dev/sdb"))
		v.must(machine.SetupTmp(v.ctx))
		v.is("sha256sum < "+backing, before)
		v.is("grep -c ' /tmp ' /proc/self/mountinfo || true", "0")
		v.sh("mkdir -p /dev/disk/by-id; ln -s /dev/sdb /dev/disk/by-id/scsi-0123")
		if device, ok := machine.Present("/dev/disk/by-id/virtio-0123"); !ok || device != "/dev/sdb" {
			v.Errorf("got %q %v", device, ok)
		}
	})
}

func TestPersistentDisk(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			inVM(t, append(diskTools(), "mkfs.xfs", "xfs_growfs"), func(v *vm) {
				const id = "/dev/disk/by-id/virtio-0123456789abcdef0123"
				backing, loop := v.disk(id, 400)
				device, err := v.Device(v.ctx, id)
				v.must(err)
				if _, err := v.Mount(v.ctx, device, platform.MountOptions{}); !errors.Is(err, platform.ErrBlank) {
					v.Fatalf("got %v", err)
				}
				o := platform.MountOptions{Format: true, FS: kind, Options: []string{"noatime,nodev"}}
				for range 2 {
					point, err := v.Mount(v.ctx, device, o)
					if err != nil || point != "/var/vcap/store" {
						v.Fatalf("got %s %v", point, err)
					}
				}
				v.is("findmnt -n -o FSTYPE /var/vcap/store", kind)
				v.sh("findmnt -n -o OPTIONS /var/vcap/store | grep -q nodev,noatime")
				v.sh("echo kept > /var/vcap/store/file")
				point, err := v.Unmount(v.ctx, device)
				if err != nil || point != "/var/vcap/store" {
					v.Fatalf("got %s %v", point, err)
				}
				if ok, err := v.Mounted(device); ok || err != nil {
					v.Fatalf("got %v %v", ok, err)
				}
				v.must(os.Truncate(backing, 800<<20)) // the volume grows
				v.must(unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_SET_CAPACITY, 0))
				_, err = v.Mount(v.ctx, device, platform.MountOptions{})
				v.must(err)
				v.is("cat /var/vcap/store/file", "kept")
				v.is("[ $(df --output=size -m /var/vcap/store | tail -1) -gt 650 ] && echo grown", "grown")
			})
		})
	}
}

func TestMigration(t *testing.T) {
	t.Parallel()
	inVM(t, append(diskTools(), "cp"), func(v *vm) {
		v.disk("/dev/sdc", 128)
		v.disk("/dev/sdd", 256)
		o := platform.MountOptions{Format: true}
		_, err := v.Mount(v.ctx, "/dev/sdc", o)
		v.must(err)
		v.sh(`cd /var/vcap/store && mkdir -p a/b && echo one > a/b/one && chown 1234:5678 a/b/one && chmod 640 a/b/one &&
			ln a/b/one two && ln -s a/b/one link && truncate -s 20M hole && mkfifo pipe && chmod 711 .`)
		point, err := v.Mount(v.ctx, "/dev/sdd", o)
		if err != nil || point != "/var/vcap/store_migraton_target" {
			v.Fatalf("got %s %v", point, err)
		}
		v.sh("touch /var/vcap/store_migraton_target/theirs")
		v.refused(v.Migrate(v.ctx, "/dev/sdc", "/dev/sdd"), "already holds files (theirs)")
		v.sh("rm /var/vcap/store_migraton_target/theirs")
		v.must(v.Migrate(v.ctx, "", ""))
		check := func() {
			v.Helper()
			v.is("cd /var/vcap/store && cat link && stat -c '%a %u:%g %h' a/b/one && stat -c %a . && [ -p pipe ] && stat -c '%s %b' hole", "one\n640 1234:5678 2\n711\n20971520 0")
			v.is("findmnt -n -o TARGET | grep -c migraton || true", "0")
		}
		check()
		v.must(v.Migrate(v.ctx, "/dev/sdc", "/dev/sdd")) // again
		check()
		if ok, err := v.Mounted("/dev/sdc"); ok || err != nil {
			v.Errorf("got %v %v", ok, err)
		}
	})
}

// A kill in the middle of the copy leaves files on the new disk; the repeat
// knows them as its own. A kill between the unmounts and the mount leaves
// nothing mounted.
func TestMigrationAfterAKill(t *testing.T) {
	t.Parallel()
	inVM(t, append(diskTools(), "cp"), func(v *vm) {
		v.disk("/dev/sdc", 128)
		v.disk("/dev/sdd", 128)
		o := platform.MountOptions{Format: true}
		for _, device := range []string{"/dev/sdc", "/dev/sdd"} {
			_, err := v.Mount(v.ctx, device, o)
			v.must(err)
		}
		v.sh("echo whole > /var/vcap/store/file")
		// cp dies half-way: the file on the new disk is cut.
		v.sh(`mkdir /fake && printf '#!/bin/sh\necho wh > /var/vcap/store_migraton_target/file\nkill -9 $$\n' > /fake/cp && chmod +x /fake/cp`)
		path := os.Getenv("PATH")
		v.must(os.Setenv("PATH", "/fake:"+path))
		v.refused(v.Migrate(v.ctx, "/dev/sdc", "/dev/sdd"), "cannot run cp")
		v.must(os.Setenv("PATH", path))
		v.sh("touch /var/vcap/store/writable") // the copy failed, the old disk is in use
		v.sh("rm /var/vcap/store/writable; mount -o remount,ro,nodev /var/vcap/store")
		v.again() // a kill would have left it so
		_, err := v.Mount(v.ctx, "/dev/sdc", o)
		v.must(err)
		v.sh("touch /var/vcap/store/writable && rm /var/vcap/store/writable && findmnt -n -o OPTIONS /var/vcap/store | grep -q nodev")
		v.must(v.Migrate(v.ctx, "/dev/sdc", "/dev/sdd"))
		v.is("cat /var/vcap/store/file", "whole")
		// A kill after the copy: the mark says that it is whole.
		v.disk("/dev/sde", 128)
		_, err = v.Mount(v.ctx, "/dev/sde", o)
		v.must(err)
		v.sh("cp -a /var/vcap/store/file /var/vcap/store_migraton_target/")
		uuids := v.sh("for d in store store_migraton_target; do blkid -p -s UUID -o value $(findmnt -n -o SOURCE /var/vcap/$d); done")
		from, to, _ := strings.Cut(uuids, "\n")
		v.sh(`echo '{"from":"` + from + `","to":"` + to + `","copied":true}' > /var/vcap/bosh/disk_migration.json`)
		v.sh("umount /var/vcap/store_migraton_target /var/vcap/store")
		v.again()
		v.must(v.Migrate(v.ctx, "/dev/sdd", "/dev/sde"))
		v.is("cat /var/vcap/store/file; ls /var/vcap/bosh/disk_migration.json 2>&1 | grep -c 'No such'", "whole\n1")
		if ok, err := v.Mounted("/dev/sde"); !ok || err != nil {
			v.Errorf("got %v %v", ok, err)
		}
	})
}
