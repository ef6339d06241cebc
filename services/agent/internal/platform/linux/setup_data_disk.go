package linux

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

// smallest is the least that a disk can be partitioned at.
const smallest = 64 << 20

// SetupDataDisk puts swap and data onto the ephemeral disk, once, and uses them.
func (l *Linux) SetupDataDisk(ctx context.Context, device string) error {
	if err := makeDir(l.dir.Join("data"), 0o755, 0, 0); err != nil {
		return err
	}
	if device == "" {
		return nil
	}
	if l.keepDisks {
		l.log.Info().Str("device", device).Msg("SkipDiskSetup: the ephemeral disk is left alone, data is where it is")
		return nil
	}
	path, err := l.Device(ctx, device)
	if err != nil {
		return err
	}
	disk, err := openBlock(path)
	if err != nil {
		return err
	}
	if err := l.partitionData(ctx, disk); err != nil {
		return err
	}
	swap, err := disk.known(ctx, 1)
	if err != nil {
		return err
	}
	data, err := disk.known(ctx, 2)
	if err != nil {
		return err
	}
	if err := l.swapOn(ctx, swap); err != nil {
		return err
	}
	return l.mountData(ctx, disk, data)
}

// partitionData leaves a table that an agent made, and refuses any other.
func (l *Linux) partitionData(ctx context.Context, disk block) error {
	found, err := probe(ctx, disk.path)
	if err != nil {
		return err
	}
	switch {
	case found.Table != "":
		table, err := readTable(ctx, disk)
		if err != nil {
			return err
		}
		if !table.ephemeral() {
			return refusal(disk, found.String())
		}
		return nil
	case found.Label == novaLabel:
		if err := l.clearNova(ctx, disk, found); err != nil {
			return err
		}
	case !found.blank():
		return refusal(disk, found.String())
	}
	size, err := disk.size()
	if err != nil {
		return fmt.Errorf("Unable to determine disk size: %w", err) //nolint:staticcheck // BOSH's text
	}
	if size < smallest {
		return fmt.Errorf("cannot partition %s: it has %d MiB and needs %d", disk.path, size>>20, smallest>>20)
	}
	memory, err := memoryKiB()
	if err != nil {
		return err
	}
	mib := swapMiB(memory, size>>10)
	if err := writeTable(ctx, disk, newPartition{nameSwap, typeSwap, mib}, newPartition{nameData, typeLinux, 0}); err != nil {
		return err
	}
	l.log.Info().Str("device", disk.path).Int64("swap_mib", mib).Msg("ephemeral disk partitioned")
	return nil
}

// swapMiB is the original's: as much as there is memory, at most half the disk.
func swapMiB(memoryKiB, diskKiB int64) int64 {
	const kibInMiB = 1024
	if memoryKiB > diskKiB/2 {
		return diskKiB / 2 / kibInMiB
	}
	return memoryKiB / kibInMiB
}

func memoryKiB() (int64, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("cannot measure the memory: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			return strconv.ParseInt(f[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("cannot measure the memory: /proc/meminfo does not say it")
}

func (l *Linux) swapOn(ctx context.Context, swap block) error {
	found, err := probe(ctx, swap.path)
	if err != nil {
		return err
	}
	switch {
	case found.blank():
		if _, err := run(ctx, "", "mkswap", swap.path); err != nil {
			return err
		}
	case found.FS != "swap":
		return refusal(swap, found.String())
	}
	if l.container {
		return l.record("setup_data_disk", platform.Change{
			What: "swap is the host's; in a virtual machine this partition would be used", Run: []string{"swapon", swap.path},
		})
	}
	active, err := os.ReadFile("/proc/swaps")
	if err != nil {
		return fmt.Errorf("cannot read the swaps: %w", err)
	}
	for line := range strings.Lines(string(active)) {
		if name, _, _ := strings.Cut(line, " "); name == swap.path {
			return nil
		}
	}
	_, err = run(ctx, "", "swapon", swap.path)
	return err
}

func (l *Linux) mountData(ctx context.Context, disk, data block) error {
	point := l.dir.Join("data")
	mounted, err := readMounts()
	if err != nil {
		return err
	}
	if now, ok := mounted.at(point); ok && now.device == data.device {
		return nil
	}
	if err := l.ready(ctx, disk, data, "ext4", true); err != nil {
		return err
	}
	super, err := readSuperblock(data.path)
	if err != nil {
		return err
	}
	if err := unix.Mount(data.path, point, super.kind, 0, ""); err != nil {
		return fmt.Errorf("cannot mount %s at %s: %w", data.path, point, err)
	}
	return l.growFS(ctx, data, point)
}
