package linux_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
	"github.com/microbosh/microbosh/services/agent/internal/platform/linux"
)

// inside marks the process that runs in the machine.
const inside = "MICROBOSH_TEST_INSIDE"

// vm is a machine made of namespaces: the host's root below a layer of its own,
// an own /dev, network and name. Whatever a test does there is gone with it.
type vm struct {
	*testing.T
	*linux.Linux
	ctx context.Context
	dir home.Dir
}

// inVM runs the test's body in a machine, as root, with the tools it needs.
func inVM(t *testing.T, tools []string, body func(*vm)) {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		body(enter(t))
		return
	}
	needs(t, tools)
	inMachine(t)
}

// needs skips a test that cannot be run here.
func needs(t *testing.T, tools []string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make namespaces and mounts")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (make deps-root installs it)", tool)
		}
	}
	for _, path := range []string{"/dev/loop-control", "/proc/self/ns/net"} {
		if _, err := os.Stat(path); err != nil {
			t.Skipf("needs %s, which this kernel lacks", path)
		}
	}
	if data, err := os.ReadFile("/proc/filesystems"); err != nil || !strings.Contains(string(data), "\toverlay\n") {
		t.Skip("needs overlayfs, which this kernel lacks")
	}
}

// inMachine runs the test once more as the first process of a machine, and
// returns what it said.
func inMachine(t *testing.T, env ...string) string {
	t.Helper()
	again := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(append(os.Environ(), inside+"="+t.Name(), "container=test", "VM_LAYER="+t.TempDir()), env...)
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	out, err := again.CombinedOutput()
	if errors.Is(err, unix.EPERM) {
		t.Skip("needs namespaces, which this machine refuses")
	}
	if err != nil {
		t.Fatalf("in the machine: %v\n%s", err, out)
	}
	if strings.Contains(string(out), "--- SKIP") {
		t.Skipf("in the machine:\n%s", out)
	}
	return string(out)
}

func (v *vm) must(err error) {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
}

func enter(t *testing.T) *vm {
	v := &vm{T: t}
	layer := os.Getenv("VM_LAYER")
	root := filepath.Join(layer, "root")
	v.must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	v.must(unix.Mount("tmpfs", layer, "tmpfs", 0, ""))
	for _, dir := range []string{"upper", "work", "root"} {
		v.must(os.Mkdir(filepath.Join(layer, dir), 0o755))
	}
	v.must(unix.Mount("overlay", root, "overlay", 0, fmt.Sprintf("lowerdir=/,upperdir=%[1]s/upper,workdir=%[1]s/work", layer)))
	for _, dir := range []string{"dev", "proc", "sys", "run", "tmp", "backing"} {
		v.must(os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	dev := filepath.Join(root, "dev")
	v.must(unix.Mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID, "mode=755"))
	v.must(os.MkdirAll(filepath.Join(dev, "shm"), 0o755))
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty", "loop-control"} {
		v.node(filepath.Join("/dev", name), filepath.Join(dev, name))
	}
	for n := range 16 { // for mount -o loop
		const major = 7
		v.must(unix.Mknod(filepath.Join(dev, fmt.Sprintf("loop%d", n)), unix.S_IFBLK|0o600, int(unix.Mkdev(major, uint32(n)))))
	}
	v.must(unix.Mount("tmpfs", filepath.Join(root, "run"), "tmpfs", 0, ""))
	v.must(os.Mkdir(filepath.Join(root, "run", "lock"), 0o755))
	v.must(unix.Mount("tmpfs", filepath.Join(root, "backing"), "tmpfs", 0, ""))
	v.must(unix.Mount("proc", filepath.Join(root, "proc"), "proc", 0, ""))
	v.must(unix.Mount("sysfs", filepath.Join(root, "sys"), "sysfs", 0, ""))
	v.must(unix.Chroot(root))
	v.must(os.Chdir("/"))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	v.ctx = ctx
	dir, err := home.New("/var/vcap", "/")
	v.must(err)
	v.must(os.RemoveAll("/var/vcap"))
	v.must(os.MkdirAll(dir.Bosh(), 0o755))
	v.dir = dir
	v.again()
	return v
}

// again is the platform of an agent that was started anew.
func (v *vm) again() {
	v.Helper()
	var err error
	v.Linux, err = linux.New(linux.Options{Home: v.dir, Container: true, Log: zerolog.New(zerolog.NewTestWriter(v.T))})
	v.must(err)
}

func (v *vm) node(from, to string) {
	v.Helper()
	var is unix.Stat_t
	v.must(unix.Stat(from, &is))
	v.must(unix.Mknod(to, is.Mode&unix.S_IFMT|0o666, int(is.Rdev)))
}

// disk plugs a volume of that many MiB in as the device.
func (v *vm) disk(device string, mib int64) (backing string, loop *os.File) {
	v.Helper()
	backing = filepath.Join("/backing", filepath.Base(device))
	f, err := os.OpenFile(backing, os.O_RDWR|os.O_CREATE, 0o600)
	v.must(err)
	defer f.Close()
	v.must(f.Truncate(mib << 20))
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	v.must(err)
	defer control.Close()
	for range 20 { // another test may take the same one
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		v.must(err)
		path := fmt.Sprintf("/dev/loop%d", n)
		const major = 7
		if err := unix.Mknod(path, unix.S_IFBLK|0o600, int(unix.Mkdev(major, uint32(n)))); err != nil && !errors.Is(err, unix.EEXIST) {
			v.Fatal(err)
		}
		loop, err = os.OpenFile(path, os.O_RDWR, 0)
		v.must(err)
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{
			Fd: uint32(f.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_PARTSCAN},
		})
		if err == nil {
			v.must(os.MkdirAll(filepath.Dir(device), 0o755))
			v.must(unix.Mknod(device, unix.S_IFBLK|0o600, int(unix.Mkdev(major, uint32(n)))))
			v.Cleanup(func() { loop.Close() }) // the last close frees the device
			return backing, loop
		}
		loop.Close()
	}
	v.Fatal("no free loop device")
	return "", nil
}

// sh runs a command in the machine.
func (v *vm) sh(command string) string {
	v.Helper()
	out, err := exec.CommandContext(v.ctx, "sh", "-c", command).CombinedOutput()
	if err != nil {
		v.Fatalf("%s: %v\n%s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (v *vm) is(command, want string) {
	v.Helper()
	if got := v.sh(command); got != want {
		v.Errorf("%s: got\n%s\nwant\n%s", command, got, want)
	}
}

func (v *vm) refused(err error, want string) {
	v.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		v.Errorf("got %v, want %q", err, want)
	}
}

var _ platform.Platform = (*linux.Linux)(nil)
