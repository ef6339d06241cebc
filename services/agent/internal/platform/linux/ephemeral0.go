package linux

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// novaLabel is what OpenStack's Nova calls the file system that it may put onto
// a server's ephemeral disk, as a present.
const novaLabel = "ephemeral0"

// clearNova takes Nova's file system off an ephemeral disk, if it holds nothing:
// then it is nobody's. The signature goes in one write of one page, so that a
// kill leaves it whole or gone.
func (l *Linux) clearNova(ctx context.Context, disk block, found signature) (err error) {
	mounted, err := readMounts()
	if err != nil {
		return err
	}
	if now, ok := mounted.of(disk.device); ok {
		return fmt.Errorf("cannot use %s: it is mounted at %s already; umount it, and take it out of /etc/fstab or cloud-init's mounts", disk.path, now.point)
	}
	empty, err := l.emptyFS(disk, found)
	if err != nil {
		return err
	}
	if !empty {
		return refusal(disk, found.String()+" with files")
	}
	f, err := os.OpenFile(disk.path, os.O_WRONLY|unix.O_EXCL, 0)
	if err != nil {
		return fmt.Errorf("cannot clear %s: %w", disk.path, err)
	}
	const page = 4096
	_, err = f.WriteAt(make([]byte, page), 0)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("cannot clear %s: %w", disk.path, err)
	}
	if found, err = probe(ctx, disk.path); err != nil {
		return err
	}
	if !found.blank() {
		return refusal(disk, found.String())
	}
	l.log.Info().Str("device", disk.path).Msg("the cloud's empty file system is taken off the ephemeral disk")
	return nil
}

// emptyFS looks into a file system without changing it.
func (l *Linux) emptyFS(disk block, found signature) (empty bool, err error) {
	point, err := os.MkdirTemp(l.dir.Bosh(), "medium-")
	if err != nil {
		return false, fmt.Errorf("cannot look into %s: %w", disk.path, err)
	}
	defer os.Remove(point)
	data := ""
	if found.FS == "ext3" || found.FS == "ext4" {
		data = "noload" // its journal is not replayed
	}
	if err := unix.Mount(disk.path, point, found.FS, unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, data); err != nil {
		return false, fmt.Errorf("cannot look into %s: %w", disk.path, err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(point, 0)) }()
	entries, err := os.ReadDir(point)
	if err != nil {
		return false, fmt.Errorf("cannot look into %s: %w", disk.path, err)
	}
	for _, e := range entries {
		if e.Name() != "lost+found" {
			return false, nil
		}
	}
	return true, nil
}
