package namespace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/deploy/devcloud/rootless"
)

// rootSize is what a server may write at most.
const rootSize = 8 << 30

// makeRoot lays the server's own disk over its image's root, or, with the
// image's files on it, over the host's, and goes there.
func makeRoot(ctx context.Context, order bootOrder) error {
	if err := unix.Sethostname([]byte(order.Name[:min(len(order.Name), 64)])); err != nil {
		return fmt.Errorf("cannot name the server: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot part from the host's mounts: %w", err)
	}
	layer, root := filepath.Join(order.Dir, "layer"), filepath.Join(order.Dir, "root")
	for _, dir := range []string{layer, root} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("cannot make the server's root: %w", err)
		}
	}
	if err := mountLayer(filepath.Join(order.Dir, "root.disk"), layer); err != nil {
		return err
	}
	lower, isDisk, err := lowerRoot(ctx, order)
	if err != nil {
		return err
	}
	if err := fill(ctx, order, layer, isDisk); err != nil {
		return err
	}
	data := fmt.Sprintf("lowerdir=%[2]s,upperdir=%[1]s/upper,workdir=%[1]s/work", layer, lower)
	if err := unix.Mount("overlay", root, "overlay", 0, data); err != nil {
		return fmt.Errorf("cannot lay the server's root over %s: %w", lower, err)
	}
	if err := systems(root); err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return fmt.Errorf("cannot enter the server's root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil { // the old root lies under the new one
		return fmt.Errorf("cannot enter the server's root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("cannot leave the host's root: %w", err)
	}
	return os.Chdir("/")
}

// mountLayer mounts the disk of what the server writes, made at its first boot.
func mountLayer(image, point string) error {
	f, err := os.OpenFile(image, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the server's disk: %w", err)
	}
	defer f.Close()
	is, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot open the server's disk: %w", err)
	}
	if is.Size() == 0 {
		aside := image + ".new"
		if err := os.RemoveAll(aside); err != nil {
			return fmt.Errorf("cannot make the server's disk: %w", err)
		}
		if out, err := exec.Command("mke2fs", "-q", "-t", "ext4", "-F", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard",
			aside, fmt.Sprint(rootSize>>10)+"k").CombinedOutput(); err != nil {
			return fmt.Errorf("cannot make the server's disk: %w: %s", err, out)
		}
		if err := os.Rename(aside, image); err != nil {
			return fmt.Errorf("cannot make the server's disk: %w", err)
		}
		f.Close()
		if f, err = os.OpenFile(image, os.O_RDWR, 0); err != nil {
			return fmt.Errorf("cannot open the server's disk: %w", err)
		}
		defer f.Close()
	}
	d, err := loopOf(f, unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR})
	if err != nil {
		return err
	}
	defer d.close() // the mount keeps it
	if err := unix.Mount(d.loop.Name(), point, "ext4", 0, ""); err != nil {
		return fmt.Errorf("cannot mount the server's disk: %w", err)
	}
	return nil
}

// fill puts the image's files onto a new disk. What the host has in places that
// are a machine's own is hidden. An image that is a disk lies below by itself.
func fill(ctx context.Context, order bootOrder, layer string, isDisk bool) error {
	upper := filepath.Join(layer, "upper")
	if _, err := os.Stat(upper); err == nil {
		return nil
	}
	aside := filepath.Join(layer, "new")
	if err := rootless.RemoveAll(aside); err != nil {
		return fmt.Errorf("cannot fill the server's disk: %w", err)
	}
	if isDisk {
		if err := os.MkdirAll(aside, 0o755); err != nil {
			return fmt.Errorf("cannot fill the server's disk: %w", err)
		}
	} else if err := unpackOverHost(ctx, order, aside); err != nil {
		return err
	}
	if err := rootless.Inject(aside, order.Files); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(layer, "work"), 0o755); err != nil {
		return fmt.Errorf("cannot fill the server's disk: %w", err)
	}
	if err := os.Rename(aside, upper); err != nil {
		return fmt.Errorf("cannot fill the server's disk: %w", err)
	}
	return nil
}

func unpackOverHost(ctx context.Context, order bootOrder, aside string) error {
	if err := rootless.Unpack(ctx, order.Image, aside); err != nil {
		return err
	}
	for dir, mode := range map[string]fs.FileMode{"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700, "home": 0o755, "var/vcap": 0o755, "run": 0o755} {
		path := filepath.Join(aside, dir)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return fmt.Errorf("cannot fill the server's disk: %w", err)
		}
		if err := unix.Chmod(path, uint32(mode)); err != nil {
			return fmt.Errorf("cannot fill the server's disk: %w", err)
		}
		if err := unix.Setxattr(path, "trusted.overlay.opaque", []byte("y"), 0); err != nil {
			return fmt.Errorf("cannot hide the host's /%s: %w", dir, err)
		}
	}
	return nil
}

// systems mounts what a kernel gives to a machine.
func systems(root string) error {
	for _, s := range []struct{ kind, at, data string }{
		{"proc", "proc", ""}, {"sysfs", "sys", ""}, {"tmpfs", "dev", "mode=755"}, {"tmpfs", "run", "mode=755"},
	} {
		at := filepath.Join(root, s.at)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return fmt.Errorf("cannot make /%s: %w", s.at, err)
		}
		if err := unix.Mount(s.kind, at, s.kind, unix.MS_NOSUID|unix.MS_NOEXEC, s.data); err != nil {
			return fmt.Errorf("cannot mount /%s: %w", s.at, err)
		}
	}
	for _, dir := range []string{"dev/shm", "dev/pts", "run/lock"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return fmt.Errorf("cannot make /%s: %w", dir, err)
		}
	}
	// A missing terminal is no reason not to boot.
	_ = unix.Mount("devpts", filepath.Join(root, "dev/pts"), "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666")
	const memory = 1
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9} {
		if err := mknod(filepath.Join(root, "dev", name), memory, minor); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"} {
		if err := os.Symlink(to, filepath.Join(root, "dev", name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("cannot make /dev/%s: %w", name, err)
		}
	}
	const terminal = 5
	return mknod(filepath.Join(root, "dev", "tty"), terminal, 0)
}

func mknod(path string, major, minor uint32) error {
	if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(major, minor))); err != nil {
		return fmt.Errorf("cannot make %s: %w", path, err)
	}
	return unix.Chmod(path, 0o666) // whatever the umask was
}
