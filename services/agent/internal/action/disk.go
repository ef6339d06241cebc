package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/microbosh/microbosh/services/agent/internal/home"
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

// addDynamicDisk names the device of a disk that a job uses by itself.
func addDynamicDisk(ctx context.Context, d *Dispatcher, c call) (any, error) {
	var cid string
	var hint json.RawMessage
	if err := c.arg(0, &cid); err != nil {
		return nil, err
	}
	if err := c.arg(1, &hint); err != nil {
		return nil, err
	}
	if !fileName.MatchString(cid) {
		return nil, fmt.Errorf("Setting up dynamic disk: %q is no disk", clip(cid)) //nolint:staticcheck // BOSH's text
	}
	device, err := d.o.Disks.Find(ctx, cid, hint)
	if err == nil {
		err = home.Symlink(device, d.dynamicDisk(cid))
	}
	if err != nil {
		return nil, fmt.Errorf("Setting up dynamic disk: %w", err) //nolint:staticcheck // BOSH's text
	}
	return struct{}{}, nil
}

func (d *Dispatcher) dynamicDisk(cid string) string {
	return d.o.Home.Join("data", "dynamic_disks", cid)
}

func removeDynamicDisk(_ context.Context, d *Dispatcher, c call) (any, error) {
	var cid string
	if err := c.arg(0, &cid); err != nil {
		return nil, err
	}
	if !fileName.MatchString(cid) {
		return nil, fmt.Errorf("Cleaning up dynamic disk: %q is no disk", clip(cid)) //nolint:staticcheck // BOSH's text
	}
	if err := os.Remove(d.dynamicDisk(cid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("Cleaning up dynamic disk: %w", err) //nolint:staticcheck // BOSH's text
	}
	return struct{}{}, nil
}
