package linux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// refusal says that a device is left alone, and what a person can do.
func refusal(b block, found string) error {
	return fmt.Errorf("cannot use %s: it holds %s that is not the agent's, and is not formatted; if nothing on it is needed: wipefs -a %s", b.path, found, b.path)
}

// format makes a file system on a blank partition. Whoever calls it has looked.
func format(ctx context.Context, b block, kind string) error {
	var err error
	switch kind {
	case "", "ext4":
		args := []string{"-q", "-t", "ext4", "-j", "-F"}
		if exists("/sys/fs/ext4/features/lazy_itable_init") {
			args = append(args, "-E", "lazy_itable_init=1")
		}
		_, err = run(ctx, "", "mke2fs", append(args, b.path)...)
	case "xfs":
		_, err = run(ctx, "", "mkfs.xfs", "-q", "-f", b.path)
	default:
		return fmt.Errorf("cannot format %s: file system %q is neither ext4 nor xfs", b.path, kind)
	}
	if err != nil {
		return fmt.Errorf("cannot format %s: %w", b.path, err)
	}
	return nil
}

// superblock is what the agent reads of ext4 and xfs itself.
type superblock struct {
	kind       string
	bytes      int64 // that the file system spans
	unfinished bool  // its maker was killed
}

func readSuperblock(path string) (superblock, error) {
	f, err := os.Open(path)
	if err != nil {
		return superblock{}, fmt.Errorf("cannot read %s: %w", path, err)
	}
	defer f.Close()
	head := make([]byte, 2048)
	if _, err := io.ReadFull(f, head); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return superblock{}, nil
		}
		return superblock{}, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return parseSuperblock(head), nil
}

func parseSuperblock(head []byte) superblock {
	// Offsets are of the formats' own documentation.
	const extAt, extMagic, has64 = 1024, 0xEF53, 0x80
	ext := head[extAt:]
	if string(head[:4]) == "XFSB" {
		return superblock{
			kind:       "xfs",
			bytes:      int64(binary.BigEndian.Uint64(head[8:])) * int64(binary.BigEndian.Uint32(head[4:])),
			unfinished: head[126] != 0,
		}
	}
	if binary.LittleEndian.Uint16(ext[0x38:]) != extMagic {
		return superblock{}
	}
	blocks := int64(binary.LittleEndian.Uint32(ext[4:]))
	if binary.LittleEndian.Uint32(ext[0x60:])&has64 != 0 {
		blocks |= int64(binary.LittleEndian.Uint32(ext[0x150:])) << 32
	}
	return superblock{kind: "ext4", bytes: blocks << (10 + ext[0x18]&7)}
}
