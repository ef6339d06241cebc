package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// block is a block device or a partition of one.
type block struct {
	path   string // below /dev
	device uint64
	sys    string // its folder below /sys
}

// openBlock finds a device by its path; a link is followed.
func openBlock(path string) (block, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return block{}, fmt.Errorf("cannot find the device %s: %w", path, err)
	}
	var is unix.Stat_t
	if err := unix.Stat(real, &is); err != nil {
		return block{}, fmt.Errorf("cannot find the device %s: %w", path, err)
	}
	if is.Mode&unix.S_IFMT != unix.S_IFBLK {
		return block{}, fmt.Errorf("cannot use %s: Not a blockdevice", path)
	}
	device := is.Rdev
	link := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(device), unix.Minor(device))
	sys, err := filepath.EvalSymlinks(link)
	if err != nil {
		return block{}, fmt.Errorf("cannot find the device %s: %w", path, err)
	}
	return block{path: real, device: device, sys: sys}, nil
}

// number reads one of the kernel's figures about the device.
func (b block) number(name string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(b.sys, name))
	if err != nil {
		return 0, fmt.Errorf("cannot measure %s: %w", b.path, err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cannot measure %s: %w", b.path, err)
	}
	return n, nil
}

const sector = 512 // of sysfs, whatever the device's own is

// size in bytes.
func (b block) size() (int64, error) {
	n, err := b.number("size")
	return n * sector, err
}

// partition finds the n-th, fs.ErrNotExist when the kernel knows none. A machine
// without udev gets the device's file made here.
func (b block) partition(n int) (block, error) {
	found, err := filepath.Glob(filepath.Join(b.sys, "*", "partition"))
	if err != nil {
		return block{}, err
	}
	for _, file := range found {
		p := block{sys: filepath.Dir(file)}
		if is, err := p.number("partition"); err != nil || is != int64(n) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(p.sys, "dev"))
		if err != nil {
			return block{}, fmt.Errorf("cannot find partition %d of %s: %w", n, b.path, err)
		}
		var major, minor uint32
		if _, err := fmt.Sscanf(string(text), "%d:%d", &major, &minor); err != nil {
			return block{}, fmt.Errorf("cannot find partition %d of %s: %w", n, b.path, err)
		}
		p.device = unix.Mkdev(major, minor)
		p.path = filepath.Join("/dev", filepath.Base(p.sys))
		return p, p.node()
	}
	return block{}, fmt.Errorf("cannot find partition %d of %s: %w", n, b.path, fs.ErrNotExist)
}

// node makes sure that the path leads to the device.
func (b block) node() error {
	var is unix.Stat_t
	err := unix.Stat(b.path, &is)
	if err == nil && is.Mode&unix.S_IFMT == unix.S_IFBLK && is.Rdev == b.device {
		return nil
	}
	if err == nil { // left from a device that was there before
		if err := os.Remove(b.path); err != nil {
			return fmt.Errorf("cannot make %s: %w", b.path, err)
		}
	}
	err = unix.Mknod(b.path, unix.S_IFBLK|0o600, int(b.device))
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("cannot make %s: %w", b.path, err)
	}
	return nil
}

// reread has the kernel read the partition table again.
func (b block) reread() error {
	f, err := os.Open(b.path)
	if err != nil {
		return fmt.Errorf("cannot read the partitions of %s: %w", b.path, err)
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), unix.BLKRRPART, 0); err != nil {
		return fmt.Errorf("cannot read the partitions of %s: %w", b.path, err)
	}
	return nil
}

// tell names a partition to a kernel that cannot read the table's kind itself.
func (b block) tell(n int, start, length int64) error {
	f, err := os.Open(b.path)
	if err != nil {
		return fmt.Errorf("cannot name partition %d of %s: %w", n, b.path, err)
	}
	defer f.Close()
	part := unix.BlkpgPartition{Start: start, Length: length, Pno: int32(n)}
	arg := unix.BlkpgIoctlArg{Op: unix.BLKPG_ADD_PARTITION, Datalen: int32(unsafe.Sizeof(part)), Data: (*byte)(unsafe.Pointer(&part))}
	_, _, failed := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKPG, uintptr(unsafe.Pointer(&arg)))
	if failed != 0 {
		return fmt.Errorf("cannot name partition %d of %s: %w", n, b.path, failed)
	}
	return nil
}
