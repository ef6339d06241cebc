package action

import (
	"context"
	"encoding/json"
)

func mountDisk(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var cid string
	if err := c.arg(0, &cid); err != nil {
		return nil, err
	}
	return struct{}{}, d.o.Disks.Mount(ctx, cid)
}

func unmountDisk(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var cid string
	if err := c.arg(0, &cid); err != nil {
		return nil, err
	}
	message, err := d.o.Disks.Unmount(ctx, cid)
	return map[string]string{"message": message}, err
}

// migrateDisk takes the 2014 agent's CIDs; today's clients send none.
func migrateDisk(ctx context.Context, d *Dispatcher, c call) (any, error) {
	return struct{}{}, d.o.Disks.Migrate(ctx, c.text(0), c.text(1))
}

func listDisk(ctx context.Context, d *Dispatcher, _ call) (any, error) {
	return d.o.Disks.List(ctx)
}

func addPersistentDisk(_ context.Context, d *Dispatcher, c call) (any, error) {
	var cid string
	var hint json.RawMessage
	if err := c.arg(0, &cid); err != nil {
		return nil, err
	}
	if err := c.arg(1, &hint); err != nil {
		return nil, err
	}
	return struct{}{}, d.o.Disks.Add(cid, hint)
}

func removePersistentDisk(_ context.Context, d *Dispatcher, c call) (any, error) {
	var cid string
	if err := c.arg(0, &cid); err != nil {
		return nil, err
	}
	return struct{}{}, d.o.Disks.Remove(cid)
}
