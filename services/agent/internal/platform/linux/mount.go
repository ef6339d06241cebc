package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

func (l *Linux) store() string  { return l.dir.Join("store") }
func (l *Linux) target() string { return l.dir.Join("store_migraton_target") } // BOSH's spelling

// Mount mounts a persistent disk at the store, or beside it when another one is
// there. A blank disk is partitioned and formatted if that is wanted.
func (l *Linux) Mount(ctx context.Context, device string, o platform.MountOptions) (string, error) {
	disk, err := openBlock(device)
	if err != nil {
		return "", err
	}
	part, err := l.storePartition(ctx, disk, o)
	if err != nil {
		return "", err
	}
	mounted, err := readMounts()
	if err != nil {
		return "", err
	}
	if now, ok := mounted.of(part.device); ok {
		if err := l.writable(now.point, o.Options); err != nil {
			return "", err
		}
		return now.point, l.growFS(ctx, part, now.point)
	}
	if part, err = l.growPartition(ctx, disk, part); err != nil {
		return "", err
	}
	if err := l.ready(ctx, disk, part, o.FS, o.Format); err != nil {
		return "", err
	}
	if err := l.growBefore(ctx, part); err != nil {
		return "", err
	}
	point := l.store()
	if _, ok := mounted.at(point); ok {
		point = l.target()
	}
	if err := l.mountAt(ctx, part, point, o.Options); err != nil {
		return "", err
	}
	return point, l.growFS(ctx, part, point)
}

// writable undoes what a migration that was killed has left.
func (l *Linux) writable(point string, options []string) error {
	wanted, _, err := mountOptions(options)
	if err != nil {
		return err
	}
	var is unix.Statfs_t
	if err := unix.Statfs(point, &is); err != nil {
		return fmt.Errorf("cannot look at %s: %w", point, err)
	}
	if is.Flags&unix.ST_RDONLY == 0 || wanted&unix.MS_RDONLY != 0 {
		return nil
	}
	l.log.Info().Str("point", point).Msg("a disk that an interrupted migration left read-only is writable again")
	return remount(point, false)
}

// remount changes whether a mount can be written to, and nothing else of it.
func remount(point string, readOnly bool) error {
	var is unix.Statfs_t
	if err := unix.Statfs(point, &is); err != nil {
		return fmt.Errorf("cannot look at %s: %w", point, err)
	}
	flags := uintptr(unix.MS_REMOUNT)
	for st, ms := range map[int64]uintptr{
		unix.ST_NOSUID: unix.MS_NOSUID, unix.ST_NODEV: unix.MS_NODEV, unix.ST_NOEXEC: unix.MS_NOEXEC, unix.ST_SYNCHRONOUS: unix.MS_SYNCHRONOUS,
		unix.ST_NOATIME: unix.MS_NOATIME, unix.ST_NODIRATIME: unix.MS_NODIRATIME, unix.ST_RELATIME: unix.MS_RELATIME,
	} {
		if is.Flags&st != 0 {
			flags |= ms
		}
	}
	if readOnly {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount("", point, "", flags, ""); err != nil {
		return fmt.Errorf("cannot remount %s: %w", point, err)
	}
	return nil
}

// storePartition finds the disk's only partition, making it on a blank disk.
func (l *Linux) storePartition(ctx context.Context, disk block, o platform.MountOptions) (block, error) {
	found, err := probe(ctx, disk.path)
	if err != nil {
		return block{}, err
	}
	switch {
	case found.Table != "":
	case !found.blank():
		return block{}, refusal(disk, found.String())
	case !o.Format:
		return block{}, fmt.Errorf("cannot mount %s: %w", disk.path, platform.ErrBlank)
	default:
		if size, err := disk.size(); err != nil {
			return block{}, err
		} else if size < smallest {
			return block{}, fmt.Errorf("cannot partition %s: it has %d MiB and needs %d", disk.path, size>>20, smallest>>20)
		}
		if err := writeTable(ctx, disk, newPartition{nameStore, typeLinux, 0}); err != nil {
			return block{}, err
		}
		l.log.Info().Str("device", disk.path).Msg("persistent disk partitioned")
	}
	part, err := disk.known(ctx, 1)
	if errors.Is(err, fs.ErrNotExist) {
		return block{}, refusal(disk, "an empty partition table")
	}
	return part, err
}

// ready formats a partition of ours that never was, and refuses what can be
// neither mounted nor formatted.
func (l *Linux) ready(ctx context.Context, disk, part block, kind string, mayFormat bool) error {
	super, err := readSuperblock(part.path)
	if err != nil {
		return err
	}
	if super.kind != "" && !super.unfinished {
		return nil
	}
	if super.kind == "" {
		found, err := probe(ctx, part.path)
		if err != nil {
			return err
		}
		if !found.blank() {
			return refusal(part, found.String())
		}
	}
	if !mayFormat {
		return fmt.Errorf("cannot mount %s: %w", part.path, platform.ErrBlank)
	}
	table, err := readTable(ctx, disk)
	if err != nil {
		return err
	}
	if !table.ephemeral() && !table.persistent() {
		return refusal(disk, "a partition table")
	}
	if err := format(ctx, part, kind); err != nil {
		return err
	}
	l.log.Info().Str("device", part.path).Msg("formatted")
	return nil
}

// mountAt mounts by UUID where udev names devices by it, so that the table of
// mounts says which file system it is whatever its device is called.
func (l *Linux) mountAt(ctx context.Context, part block, point string, options []string) error {
	if err := os.MkdirAll(point, 0o755); err != nil {
		return fmt.Errorf("cannot make the folder %s: %w", point, err)
	}
	flags, data, err := mountOptions(options)
	if err != nil {
		return err
	}
	super, err := readSuperblock(part.path)
	if err != nil {
		return err
	}
	source := part.path
	if found, err := probe(ctx, part.path); err == nil && found.UUID != "" {
		named := filepath.Join("/dev/disk/by-uuid", found.UUID)
		if b, err := openBlock(named); err == nil && b.device == part.device {
			source = named
		}
	}
	if err := unix.Mount(source, point, super.kind, flags, data); err != nil {
		return fmt.Errorf("Failed to mount %s at %s: %w", source, point, err) //nolint:staticcheck // BOSH's text
	}
	return nil
}

// partOf is the partition of a disk that may be mounted; ok is false when it
// has none.
func partOf(device string) (part block, ok bool, err error) {
	disk, err := openBlock(device)
	if err != nil {
		return block{}, false, err
	}
	part, err = disk.partition(1)
	if errors.Is(err, fs.ErrNotExist) {
		return block{}, false, nil
	}
	return part, err == nil, err
}

// Mounted tells whether the disk is.
func (l *Linux) Mounted(device string) (bool, error) {
	part, ok, err := partOf(device)
	if err != nil || !ok {
		return false, err
	}
	mounted, err := readMounts()
	if err != nil {
		return false, err
	}
	_, ok = mounted.of(part.device)
	return ok, nil
}

// Unmount takes the disk off.
func (l *Linux) Unmount(ctx context.Context, device string) (string, error) {
	part, ok, err := partOf(device)
	if err != nil || !ok {
		return "", err
	}
	mounted, err := readMounts()
	if err != nil {
		return "", err
	}
	now, ok := mounted.of(part.device)
	if !ok {
		return "", nil
	}
	return now.point, unmount(ctx, now.point)
}

// unmountWait is the original's patience with jobs that still use a disk.
const unmountWait = 10 * time.Minute

// unmount asks again while something uses the disk: the kernel tells nobody
// when that ends.
func unmount(ctx context.Context, point string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, unmountWait, errors.New("it is still in use (fuser -vm "+point+" tells by what)"))
	defer cancel()
	const shortest, longest = 10 * time.Millisecond, time.Second
	for pause := shortest; ; pause = min(2*pause, longest) {
		err := unix.Unmount(point, 0)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("Failed to umount %s: %w", point, err) //nolint:staticcheck // BOSH's text
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return fmt.Errorf("Failed to umount %s: %w", point, context.Cause(ctx)) //nolint:staticcheck // BOSH's text
		}
	}
}

// Usage names the mount points; what is not mounted is not measured.
func (l *Linux) Usage() map[string]string {
	usage := map[string]string{"system": "/"}
	mounted, err := readMounts()
	if err != nil {
		return usage
	}
	for kind, point := range map[string]string{"ephemeral": l.dir.Join("data"), "persistent": l.store()} {
		if _, ok := mounted.at(point); ok {
			usage[kind] = point
		}
	}
	return usage
}
