package namespace

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Where a GPT says what its first partition is, in bytes; numbers are little
// endian, blocks are sectors.
const (
	sector       = 512
	gptHeader    = sector
	gptEntries   = gptHeader + 72 // the block of the entries
	entryFirst   = 32             // of an entry: the partition's first block
	gptSignature = "EFI PART"
	qcowMagic    = "QFI\xfb"
)

// lowerRoot gives what the server's root is laid over: the host's root when the
// image is a tar, the image's own when it is a disk.
func lowerRoot(ctx context.Context, order bootOrder) (path string, isDisk bool, err error) {
	image, err := os.Open(order.Image)
	if err != nil {
		return "", false, fmt.Errorf("cannot open the image: %w", err)
	}
	defer func() { _ = image.Close() }()
	head := make([]byte, gptHeader+len(gptSignature))
	if _, err := io.ReadFull(image, head); err != nil {
		return "/", false, nil // too small for a disk
	}
	if bytes.HasPrefix(head, []byte(qcowMagic)) {
		raw, err := convert(ctx, order)
		if err != nil {
			return "", true, err
		}
		_ = image.Close()
		if image, err = os.Open(raw); err != nil {
			return "", true, fmt.Errorf("cannot open the image: %w", err)
		}
		if _, err := io.ReadFull(image, head); err != nil {
			return "", true, fmt.Errorf("cannot read the image: %w", err)
		}
	}
	if string(head[gptHeader:]) != gptSignature {
		return "/", false, nil
	}
	at, err := firstPartition(image)
	if err != nil {
		return "", true, err
	}
	point := filepath.Join(order.Dir, "image")
	if err := os.MkdirAll(point, 0o755); err != nil {
		return "", true, fmt.Errorf("cannot mount the image: %w", err)
	}
	d, err := loopOf(image, unix.LoopInfo64{Offset: at, Flags: unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_READ_ONLY})
	if err != nil {
		return "", true, err
	}
	defer d.close() // the mount keeps it
	if err := unix.Mount(d.loop.Name(), point, "ext4", unix.MS_RDONLY, "noload"); err != nil {
		return "", true, fmt.Errorf("cannot mount the image's first partition, which must be ext4: %w", err)
	}
	return point, true, nil
}

// convert makes a raw disk of a qcow2 one, for the life of the server.
func convert(ctx context.Context, order bootOrder) (string, error) {
	path := filepath.Join(order.Dir, "image.raw")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	aside := path + ".new"
	if out, err := exec.CommandContext(ctx, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", order.Image, aside).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot read the image, a qcow2 disk, which takes qemu-img: %w: %s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(aside, path); err != nil {
		return "", fmt.Errorf("cannot read the image: %w", err)
	}
	return path, nil
}

func firstPartition(disk io.ReaderAt) (uint64, error) {
	number := make([]byte, 8)
	if _, err := disk.ReadAt(number, gptEntries); err != nil {
		return 0, fmt.Errorf("cannot read the image's partitions: %w", err)
	}
	const far = 1 << 40
	entries := binary.LittleEndian.Uint64(number)
	if entries > far/sector {
		return 0, fmt.Errorf("cannot read the image's partitions: they are said to be at block %d", entries)
	}
	if _, err := disk.ReadAt(number, int64(entries)*sector+entryFirst); err != nil {
		return 0, fmt.Errorf("cannot read the image's partitions: %w", err)
	}
	first := binary.LittleEndian.Uint64(number)
	if first == 0 || first > far/sector {
		return 0, fmt.Errorf("cannot use the image: its first partition is said to be at block %d", first)
	}
	return first * sector, nil
}
