package disk

import (
	"context"
	"fmt"
)

// Find waits for a disk's device: where the hint says, or, without one, where
// settings and earlier hints do. Nothing is mounted.
func (d *Disks) Find(ctx context.Context, cid string, hint []byte) (string, error) {
	if len(hint) == 0 {
		at, err := d.device(ctx, cid)
		if err != nil {
			return "", err
		}
		return d.o.Platform.Device(ctx, at)
	}
	at, err := devicePath(hint)
	if err != nil {
		return "", fmt.Errorf("disk %s: %w", cid, err)
	}
	return d.o.Platform.Device(ctx, at)
}
