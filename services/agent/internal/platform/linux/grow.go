package linux

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// growth is what is worth growing for: tables and file systems leave less
// unused at the end.
const growth = 8 << 20

// growPartition lets the only partition reach the end of a device that became
// larger. The device must not be mounted.
func (l *Linux) growPartition(ctx context.Context, b, p block) (block, error) {
	whole, err := b.size()
	if err != nil {
		return p, err
	}
	start, err := p.number("start")
	if err != nil {
		return p, err
	}
	size, err := p.size()
	if err != nil || whole-start*sector-size < growth {
		return p, err
	}
	if _, err := run(ctx, ", +\n", "sfdisk", "--quiet", "-N", "1", b.path); err != nil {
		return p, fmt.Errorf("cannot grow the partition of %s: %w", b.path, err)
	}
	l.log.Info().Str("device", b.path).Int64("from", size).Int64("to", whole).Msg("partition grown")
	return b.known(ctx, 1)
}

// growFS lets a mounted file system fill its partition.
func (l *Linux) growFS(ctx context.Context, p block, point string) error {
	return l.growWith(p, func(kind string) error {
		if kind == "xfs" {
			_, err := run(ctx, "", "xfs_growfs", point)
			return err
		}
		_, err := run(ctx, "", "resize2fs", p.path)
		return err
	})
}

// growBefore lets ext4 grow before it is mounted, where the kernel refuses to do
// it afterwards: in a machine without CAP_SYS_RESOURCE.
func (l *Linux) growBefore(ctx context.Context, p block) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil || caps[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0 {
		return nil
	}
	if super, err := readSuperblock(p.path); err != nil || super.kind != "ext4" {
		return err // xfs only grows while it is mounted, and any root may
	}
	return l.growWith(p, func(string) error {
		var end *toolError
		const repaired = 1
		if _, err := run(ctx, "", "e2fsck", "-f", "-p", p.path); err != nil && (!errors.As(err, &end) || end.code > repaired) {
			return err
		}
		_, err := run(ctx, "", "resize2fs", p.path)
		return err
	})
}

// growWith calls grow when the file system leaves much of its partition unused.
func (l *Linux) growWith(p block, grow func(kind string) error) error {
	size, err := p.size()
	if err != nil {
		return err
	}
	super, err := readSuperblock(p.path)
	if err != nil || super.bytes == 0 || size-super.bytes < growth {
		return err
	}
	if err := grow(super.kind); err != nil {
		return fmt.Errorf("cannot grow the file system of %s: %w", p.path, err)
	}
	l.log.Info().Str("device", p.path).Int64("from", super.bytes).Int64("to", size).Msg("file system grown")
	return nil
}
