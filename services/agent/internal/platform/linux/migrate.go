package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// migration is what <base>/bosh/disk_migration.json remembers from the first
// byte that is copied until the new disk is the store. It tells a repeat that
// files on the new disk are its own, and whether they are complete.
type migration struct {
	From   string `json:"from"` // UUIDs of the file systems
	To     string `json:"to"`
	Copied bool   `json:"copied"`
}

func (l *Linux) migrationFile() string { return l.dir.Bosh("disk_migration.json") }

// Migrate copies the old disk's files, compares the copy with them, and makes
// the new disk the store. It may be repeated after a kill at any point.
func (l *Linux) Migrate(ctx context.Context, from, to string) error {
	old, fresh, err := l.pair(ctx, from, to)
	if err != nil {
		return err
	}
	mounted, err := readMounts()
	if err != nil {
		return err
	}
	if now, ok := mounted.at(l.store()); ok && now.device == fresh.device {
		return l.forget()
	}
	ids := [2]string{}
	for i, b := range []block{old, fresh} {
		found, err := probe(ctx, b.path)
		if err != nil {
			return err
		}
		ids[i] = found.UUID
	}
	var m migration
	if err := home.ReadJSON(l.migrationFile(), &m); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if m.From != ids[0] || m.To != ids[1] {
		m = migration{}
	}
	if !m.Copied {
		if err := l.copyStore(ctx, mounted, old, fresh, m == migration{}, migration{From: ids[0], To: ids[1]}); err != nil {
			return err
		}
	}
	if err := l.swap(ctx, old, fresh); err != nil {
		return err
	}
	return l.forget()
}

func (l *Linux) forget() error {
	if err := os.Remove(l.migrationFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot end the migration: %w", err)
	}
	return nil
}

// pair finds both partitions; without devices they are what is mounted at the
// store and beside it.
func (l *Linux) pair(ctx context.Context, from, to string) (old, fresh block, err error) {
	if old, err = l.diskOrMount(ctx, from, l.store()); err != nil {
		return old, fresh, err
	}
	if fresh, err = l.diskOrMount(ctx, to, l.target()); err != nil {
		return old, fresh, err
	}
	if old.device == fresh.device {
		return old, fresh, errors.New("cannot migrate the disk: old and new are the same")
	}
	return old, fresh, nil
}

func (l *Linux) diskOrMount(ctx context.Context, device, point string) (block, error) {
	if device != "" {
		disk, err := openBlock(device)
		if err != nil {
			return block{}, err
		}
		part, err := disk.known(ctx, 1)
		if err != nil {
			return block{}, fmt.Errorf("cannot migrate the disk: %w", err)
		}
		return part, nil
	}
	mounted, err := readMounts()
	if err != nil {
		return block{}, err
	}
	now, ok := mounted.at(point)
	if !ok {
		return block{}, fmt.Errorf("cannot migrate the disk: both must be mounted, and nothing is at %s", point)
	}
	return openBlock(now.source)
}

func (l *Linux) copyStore(ctx context.Context, mounted mounts, old, fresh block, first bool, m migration) (err error) {
	if now, ok := mounted.at(l.store()); !ok || now.device != old.device {
		return fmt.Errorf("cannot migrate the disk: the old one must be mounted at %s", l.store())
	}
	if now, ok := mounted.at(l.target()); !ok || now.device != fresh.device {
		return fmt.Errorf("cannot migrate the disk: the new one must be mounted at %s", l.target())
	}
	if first {
		if err := holdsNothing(l.target()); err != nil {
			return err
		}
		if err := home.WriteJSON(l.migrationFile(), m); err != nil {
			return err
		}
	}
	// Nobody may write behind the copy's back.
	if err := remount(l.store(), true); err != nil {
		return fmt.Errorf("cannot make %s read-only, something still writes to it (fuser -vm tells what): %w", l.store(), err)
	}
	defer func() {
		if err != nil { // the old disk stays in use
			err = errors.Join(err, remount(l.store(), false))
		}
	}()
	if err := copyTree(ctx, l.store(), l.target()); err != nil {
		return err
	}
	if err := home.SyncTree(l.target()); err != nil {
		return fmt.Errorf("cannot sync the new disk: %w", err)
	}
	if err := compareTrees(ctx, l.store(), l.target()); err != nil {
		return fmt.Errorf("cannot migrate the disk: the copy differs: %w", err)
	}
	m.Copied = true
	return home.WriteJSON(l.migrationFile(), m)
}

// holdsNothing refuses a new disk with files that this migration did not put
// there.
func holdsNothing(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot read the new disk: %w", err)
	}
	for _, e := range entries {
		if e.Name() != "lost+found" {
			return fmt.Errorf("cannot migrate the disk: the new one already holds files (%s)", e.Name())
		}
	}
	return nil
}

// swap takes both off and mounts the new one as the store. Each step looks
// first, so that a repeat goes on where a kill came.
func (l *Linux) swap(ctx context.Context, old, fresh block) error {
	for _, b := range []block{old, fresh} {
		mounted, err := readMounts()
		if err != nil {
			return err
		}
		if now, ok := mounted.of(b.device); ok {
			if err := unmount(ctx, now.point); err != nil {
				return err
			}
		}
	}
	return l.mountAt(ctx, fresh, l.store(), nil)
}
