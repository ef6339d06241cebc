package namespace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk is a volume as a loop device. The kernel frees the device when nobody
// has it open.
type disk struct {
	loop   *os.File
	number uint64
}

// openDisk makes a loop device of the volume's file, which is sparse and as
// large as the volume.
func openDisk(folder string, size int64) (*disk, error) {
	f, err := os.OpenFile(filepath.Join(folder, "disk.img"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the volume: %w", err)
	}
	defer f.Close()
	if is, err := f.Stat(); err != nil {
		return nil, fmt.Errorf("cannot open the volume: %w", err)
	} else if is.Size() < size {
		if err := f.Truncate(size); err != nil {
			return nil, fmt.Errorf("cannot size the volume: %w", err)
		}
	}
	return loopOf(f, unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_PARTSCAN})
}

func loopOf(f *os.File, info unix.LoopInfo64) (*disk, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot make a loop device: %w", err)
	}
	defer control.Close()
	const tries, major = 50, 7
	for range tries { // another program may take the same one
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("cannot make a loop device: %w", err)
		}
		loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, fmt.Errorf("cannot make a loop device: %w", err)
		}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{Fd: uint32(f.Fd()), Info: info})
		if err == nil {
			return &disk{loop: loop, number: unix.Mkdev(major, uint32(n))}, nil
		}
		_ = loop.Close() // nothing was written
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("cannot make a loop device: %w", err)
		}
	}
	return nil, errors.New("cannot make a loop device: all are taken")
}

func (d *disk) close() error { return d.loop.Close() }

// inside is a path as the server's first process sees it.
func (m *machine) inside(path string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", m.cmd.Process.Pid), path)
}

// byID is the name that a disk has in /dev/disk/by-id: the volume's, as virtio
// cuts it.
func byID(folder string) string {
	id := filepath.Base(folder)
	const serial = 20
	return filepath.Join("/dev/disk/by-id", "virtio-"+id[:min(len(id), serial)])
}

// Attach plugs a volume in.
func (m *machine) Attach(device, folder string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.disks[device] != nil {
		return nil
	}
	d, err := openDisk(folder, m.hypervisor.o.Size(folder))
	if err != nil {
		return fmt.Errorf("cannot attach %s: %w", device, err)
	}
	if err := m.show(device, folder, d); err != nil {
		return errors.Join(fmt.Errorf("cannot attach %s: %w", device, err), d.close())
	}
	m.disks[device] = d
	return nil
}

func (m *machine) show(device, folder string, d *disk) error {
	name := filepath.Join("/dev", filepath.Base(device))
	if err := os.Remove(m.inside(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := unix.Mknod(m.inside(name), unix.S_IFBLK|0o660, int(d.number)); err != nil {
		return err
	}
	link := m.inside(byID(folder))
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return err
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(filepath.Join("../..", filepath.Base(device)), link)
}

// Detach takes a volume away, as far as it is not in use.
func (m *machine) Detach(device string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.disks[device]
	if d == nil {
		return nil
	}
	links, err := filepath.Glob(m.inside("/dev/disk/by-id/*"))
	if err != nil {
		return fmt.Errorf("cannot detach %s: %w", device, err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && filepath.Base(to) == filepath.Base(device) {
			err = os.Remove(link)
			if err != nil {
				return fmt.Errorf("cannot detach %s: %w", device, err)
			}
		}
	}
	if err := os.Remove(m.inside(filepath.Join("/dev", filepath.Base(device)))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot detach %s: %w", device, err)
	}
	delete(m.disks, device)
	return d.close()
}
