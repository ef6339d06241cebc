package platform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/watch"
)

// DeviceWait is how long an attached disk may take to appear.
const DeviceWait = 180 * time.Second

// candidates are the names a hypervisor may give to what the IaaS calls
// /dev/sdX; the last that exists is the one.
func (r *Rootless) candidates(path string) []string {
	path = r.dir.Device(path)
	name := filepath.Base(path)
	letter, ok := strings.CutPrefix(name, "sd")
	if !ok {
		return []string{path}
	}
	dir := filepath.Dir(path)
	return []string{path, filepath.Join(dir, "vd"+letter), filepath.Join(dir, "xvd"+letter)}
}

// Present finds the folder that stands for the volume.
func (r *Rootless) Present(path string) (string, bool) {
	found := ""
	for _, name := range r.candidates(path) {
		if folder, err := filepath.EvalSymlinks(name); err == nil {
			if is, err := os.Stat(folder); err == nil && is.IsDir() {
				found = folder
			}
		}
	}
	return found, found != ""
}

// Device waits until the volume's folder is there.
func (r *Rootless) Device(ctx context.Context, path string) (string, error) {
	names := r.candidates(path)
	ctx, cancel := context.WithTimeoutCause(ctx, DeviceWait, fmt.Errorf("Timed out waiting for %v", names)) //nolint:staticcheck // BOSH's text
	defer cancel()
	var folder string
	err := watch.Until(ctx, names, func() (ok bool, _ error) {
		folder, ok = r.Present(path)
		return ok, nil
	})
	return folder, err
}

func (r *Rootless) store() string  { return r.dir.Join("store") }
func (r *Rootless) target() string { return r.dir.Join("store_migraton_target") } // BOSH's spelling

// Mount links <base>/store to the volume, or the migration target when another
// attached volume is the store.
func (r *Rootless) Mount(_ context.Context, folder string, _ MountOptions) (string, error) {
	point := r.store()
	switch now, err := mountedAt(point); {
	case err != nil:
		return "", err
	case now != "" && now != folder && r.attached(now):
		point = r.target()
	}
	if err := emptied(point); err != nil {
		return "", err
	}
	if err := home.Symlink(folder, point); err != nil {
		return "", err
	}
	return point, r.record("mount_disk", Change{What: "the volume is mounted at " + point})
}

// Unmount removes the link.
func (r *Rootless) Unmount(_ context.Context, folder string) (string, error) {
	for _, point := range []string{r.store(), r.target()} {
		now, err := mountedAt(point)
		if err != nil {
			return "", err
		}
		if now != folder {
			continue
		}
		if err := os.Remove(point); err != nil {
			return "", fmt.Errorf("Failed to umount %s: %w", point, err) //nolint:staticcheck // BOSH's text
		}
		return point, home.SyncDir(filepath.Dir(point))
	}
	return "", nil
}

// Mounted tells whether a link leads to the volume.
func (r *Rootless) Mounted(folder string) (bool, error) {
	for _, point := range []string{r.store(), r.target()} {
		if now, err := mountedAt(point); err != nil || now == folder {
			return now == folder, err
		}
	}
	return false, nil
}

// Migrate copies the old volume's files to the new one and makes the new one
// the store. It may be repeated after any interruption.
func (r *Rootless) Migrate(ctx context.Context, from, to string) error {
	store, err := mountedAt(r.store())
	if err != nil {
		return err
	}
	beside, err := mountedAt(r.target())
	if err != nil {
		return err
	}
	if from == "" {
		from = store
	}
	if to == "" {
		to = beside
	}
	switch {
	case to != "" && store == to:
		return nil
	case from == "" || from != store || to == "" || to != beside:
		return fmt.Errorf("cannot migrate the disk: both must be mounted, the old one at %s", r.store())
	}
	if err := copyTree(ctx, from, to); err != nil {
		return fmt.Errorf("cannot copy the old disk's files: %w", err)
	}
	if err := home.Symlink(to, r.store()); err != nil {
		return err
	}
	if err := os.Remove(r.target()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove %s: %w", r.target(), err)
	}
	return home.SyncDir(r.dir.Base())
}

// Usage names the folders; what is not mounted is not measured.
func (r *Rootless) Usage() map[string]string {
	usage := map[string]string{"system": r.dir.Base()}
	if now, err := mountedAt(r.store()); err == nil && now != "" {
		usage["persistent"] = r.store()
	}
	return usage
}

// attached tells whether a device leads to the volume: a link to a volume that
// was detached is no mount.
func (r *Rootless) attached(folder string) bool {
	devices, err := filepath.Glob(r.dir.Device("/dev/*"))
	if err != nil {
		return false
	}
	for _, device := range devices {
		if now, err := filepath.EvalSymlinks(device); err == nil && now == folder {
			return true
		}
	}
	return false
}

// mountedAt is where the link at point leads, "" when there is none.
func mountedAt(point string) (string, error) {
	is, err := os.Lstat(point)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("cannot look at %s: %w", point, err)
	case is.Mode()&fs.ModeSymlink == 0:
		return "", nil
	}
	folder, err := os.Readlink(point)
	if err != nil {
		return "", fmt.Errorf("cannot look at %s: %w", point, err)
	}
	return folder, nil
}

// emptied makes room for a link where an empty folder is. Files that would be
// hidden by a mount are not thrown away.
func emptied(point string) error {
	is, err := os.Lstat(point)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look at %s: %w", point, err)
	}
	if is.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	if err := os.Remove(point); err != nil {
		return fmt.Errorf("Failed to mount: %s holds files that the disk would hide; move them away", point) //nolint:staticcheck // BOSH's text
	}
	return nil
}

// ReadMedium reads files of the folder that stands for a medium.
func (r *Rootless) ReadMedium(_ context.Context, device string, files ...string) (map[string][]byte, error) {
	folder, err := filepath.EvalSymlinks(r.dir.Device(device))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", device, err)
	}
	out := map[string][]byte{}
	for _, name := range files {
		data, err := home.ReadFile(filepath.Join(folder, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[name] = data
	}
	return out, nil
}
