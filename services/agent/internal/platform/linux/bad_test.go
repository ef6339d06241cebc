package linux_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/bootstrap"
	"github.com/microbosh/microbosh/services/agent/internal/disk"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
	"github.com/microbosh/microbosh/services/agent/internal/platform/linux"
)

// boot runs the whole bootstrap with the settings.
func (v *vm) boot(settings string) error {
	v.Helper()
	v.must(os.WriteFile("/backing/user_data.json", []byte(settings), 0o600))
	machine, err := linux.New(linux.Options{Home: v.dir, Container: true, Wait: 50 * time.Millisecond, Log: zerolog.New(zerolog.NewTestWriter(v.T))})
	v.must(err)
	loader := bootstrap.NewLoader(bootstrap.LoaderOptions{
		Home: v.dir, Sources: []bootstrap.Source{bootstrap.FileSource{Path: "/backing/user_data.json"}}, Log: zerolog.Nop(),
	})
	_, err = bootstrap.Run(v.ctx, bootstrap.Options{
		Home: v.dir, Configure: true, Loader: loader, Platform: machine, Log: zerolog.Nop(),
		Disks: disk.New(disk.Options{Home: v.dir, Platform: machine, Settings: loader.Settings}),
	})
	return err
}

// fails checks that a boot names the step, the cause and what to do.
func (v *vm) fails(err error, step, cause, hint string) {
	v.Helper()
	var e *messages.Error
	if !errors.As(err, &e) {
		v.Fatalf("got %v, want step %s to fail", err, step)
	}
	if !strings.Contains(e.Message, "step "+step+": ") || !strings.Contains(e.Message, cause) || !strings.Contains(e.Hint, hint) {
		v.Errorf("got %s (hint: %s), want step %s, %q, hint %q", e.Message, e.Hint, step, cause, hint)
	}
}

func settings(disks string) string {
	return `{"agent_id":"bm-1","mbus":"nats://h","disks":` + disks + `,"env":{"bosh":{"password":"$6$a$b"}}}`
}

// Every kind of bad disk stops the boot before anything is written to it, and a
// boot with a good one comes up.
func TestBadDisks(t *testing.T) {
	t.Parallel()
	inVM(t, append(diskTools(), "iptables", "useradd"), func(v *vm) {
		v.fails(v.boot(settings(`{"ephemeral":"/dev/sdz","persistent":{}}`)), "setup_data_disk", "Timed out waiting for [/dev/sdz /dev/vdz /dev/xvdz]", "lsblk")
		v.disk("/dev/sdb", 16)
		v.fails(v.boot(settings(`{"ephemeral":"/dev/sdb","persistent":{}}`)), "setup_data_disk", "it has 16 MiB and needs 64", "lsblk")
		v.disk("/dev/sdc", 128)
		v.sh("mke2fs -q -t ext4 -F -L precious /dev/sdc")
		v.fails(v.boot(settings(`{"ephemeral":"/dev/sdc","persistent":{}}`)), "setup_data_disk", `it holds ext4 "precious" that is not the agent's`, "lsblk")
		v.disk("/dev/sdd", 128)
		v.fails(v.boot(settings(`{"ephemeral":"/dev/sdd","persistent":{"a":"/dev/sdc"}}`)), "mount_persistent_disk", `it holds ext4 "precious"`, "lsblk")
		v.fails(v.boot(settings(`{"ephemeral":"/dev/sdd","persistent":{"a":"/dev/sdz"}}`)), "mount_persistent_disk", "Timed out waiting for", "lsblk")
		v.fails(v.boot(settings(`{"ephemeral":"/dev/sdd","persistent":{"a":"/dev/sdc","b":"/dev/sde"}}`)), "mount_persistent_disk", "more than one persistent disk", "at most one")
		v.must(v.boot(settings(`{"ephemeral":"/dev/sdd","persistent":{}}`)))
		v.is("findmnt -n -o FSTYPE /var/vcap/data", "ext4")
		v.must(v.boot(settings(`{"persistent":{}}`))) // no disk at all: data stays where it is
	})
}

// A disk that is full is called so, and leaves no half of a file; with room the
// next start comes up.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	inVM(t, append(diskTools(), "iptables", "useradd"), func(v *vm) {
		const good = `{"persistent":{}}`
		v.sh("mount -t tmpfs -o size=64k full /var/vcap/bosh; head -c 1M /dev/zero > /var/vcap/bosh/filler || true")
		v.fails(v.boot(settings(good)), "load_settings", "no space left on device", "the disk is full: df -h")
		v.is("ls -A /var/vcap/bosh", "filler")
		v.sh("rm /var/vcap/bosh/filler")
		v.disk("/dev/sdb", 128)
		_, err := v.Mount(v.ctx, "/dev/sdb", platform.MountOptions{Format: true})
		v.must(err)
		v.must(v.boot(settings(good)))
		v.disk("/dev/sdc", 64)
		_, err = v.Mount(v.ctx, "/dev/sdc", platform.MountOptions{Format: true})
		v.must(err)
		v.sh("head -c 90M /dev/urandom > /var/vcap/store/big")
		v.refused(v.Migrate(v.ctx, "", ""), "No space left on device")
		v.sh("touch /var/vcap/store/writable")
		v.is("findmnt -n -o TARGET | grep -c /var/vcap/store", "2")
	})
}

// A tool that is missing is named with its package by the step that needs it,
// and the machine comes up once it is there.
func TestMissingToolsByStep(t *testing.T) {
	t.Parallel()
	inVM(t, append(diskTools(), "iptables", "useradd"), func(v *vm) {
		v.disk("/dev/sdb", 128)
		for _, c := range []struct{ tool, step, pack string }{
			{"iptables", "update_iptables", "iptables"}, {"chpasswd", "update_passwords", "passwd"},
			{"blkid", "setup_data_disk", "util-linux"}, {"sfdisk", "setup_data_disk", "fdisk"}, {"mkswap", "setup_data_disk", "util-linux"}, {"mke2fs", "setup_data_disk", "e2fsprogs"},
		} {
			v.sh("for d in /usr/local/sbin /usr/sbin /sbin /usr/bin /bin; do [ ! -e $d/" + c.tool + " ] || mv $d/" + c.tool + " $d/hidden-" + c.tool + "; done")
			v.fails(v.boot(settings(`{"ephemeral":"/dev/sdb","persistent":{}}`)), c.step, "cannot run "+c.tool+": it is not installed; install the package "+c.pack, "")
			v.sh("for d in /usr/local/sbin /usr/sbin /sbin /usr/bin /bin; do [ ! -e $d/hidden-" + c.tool + " ] || mv $d/hidden-" + c.tool + " $d/" + c.tool + "; done")
		}
		v.must(v.boot(settings(`{"ephemeral":"/dev/sdb","persistent":{}}`)))
		v.is("findmnt -n -o FSTYPE /var/vcap/data; getent shadow vcap | cut -d: -f2", "ext4\n$6$a$b")
	})
}
