package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

// maxHints bounds what add_persistent_disk keeps.
const maxHints = 256

// Options of Disks.
type Options struct {
	Home     home.Dir
	Platform platform.Disks
	// Settings loads them anew: a registry may have learnt of a disk since boot.
	Settings func(context.Context) (messages.Settings, error)
}

// Disks are the persistent disks.
type Disks struct {
	o Options
}

// New makes Disks.
func New(o Options) *Disks { return &Disks{o: o} }

func (d *Disks) hintsFile() string   { return d.o.Home.Bosh("persistent_disk_hints.json") }
func (d *Disks) managedFile() string { return d.o.Home.Bosh("managed_disk_settings.json") }

// known is every disk that settings or hints tell of; the hint is the newer.
func (d *Disks) known(settings messages.Settings) (map[string]json.RawMessage, error) {
	known := map[string]json.RawMessage{}
	maps.Copy(known, settings.Disks.Persistent)
	hints, err := d.hints()
	maps.Copy(known, hints)
	return known, err
}

func (d *Disks) hints() (map[string]json.RawMessage, error) {
	hints := map[string]json.RawMessage{}
	if err := home.ReadJSON(d.hintsFile(), &hints); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return hints, nil
}

func (d *Disks) device(ctx context.Context, cid string) (string, error) {
	settings, err := d.o.Settings(ctx)
	if err != nil {
		return "", err
	}
	known, err := d.known(settings)
	if err != nil {
		return "", err
	}
	hint, ok := known[cid]
	if !ok {
		return "", fmt.Errorf("Unknown persistent disk: %s", cid) //nolint:staticcheck // BOSH's text
	}
	return devicePath(hint)
}

// devicePath reads a hint: a path, or a map with one or with a volume id.
func devicePath(hint json.RawMessage) (string, error) {
	var named struct {
		Path     string `json:"path"`
		VolumeID string `json:"volume_id"`
		ID       string `json:"id"`
	}
	if json.Unmarshal(hint, &named.Path) != nil && json.Unmarshal(hint, &named) != nil {
		return "", fmt.Errorf("cannot read the disk's hint: it is neither a path nor a map with one")
	}
	if named.Path == "" {
		if named.ID == "" {
			named.ID = named.VolumeID
		}
		if named.ID == "" || strings.Contains(named.ID, "/") {
			return "", fmt.Errorf("cannot read the disk's hint: it names no device")
		}
		const virtioSerial = 20 // virtio cuts a volume id to as many characters
		named.Path = "/dev/disk/by-id/virtio-" + named.ID[:min(len(named.ID), virtioSerial)]
	}
	if path.Clean(named.Path) != named.Path || !strings.HasPrefix(named.Path, "/dev/") {
		return "", fmt.Errorf("cannot read the disk's hint: %q is no device", named.Path)
	}
	return named.Path, nil
}

// List tells the mounted ones.
func (d *Disks) List(ctx context.Context) ([]string, error) {
	settings, err := d.o.Settings(ctx)
	if err != nil {
		return nil, err
	}
	known, err := d.known(settings)
	if err != nil {
		return nil, err
	}
	mounted := []string{}
	for _, cid := range slices.Sorted(maps.Keys(known)) {
		at, err := devicePath(known[cid])
		if err != nil {
			return nil, err
		}
		device, ok := d.o.Platform.Present(at)
		if !ok {
			continue
		}
		if ok, err := d.o.Platform.Mounted(device); err != nil {
			return nil, err
		} else if ok {
			mounted = append(mounted, cid)
		}
	}
	return mounted, nil
}

// Mount waits for the disk's device and mounts it; a mounted one stays so.
func (d *Disks) Mount(ctx context.Context, cid string) error {
	settings, err := d.o.Settings(ctx)
	if err != nil {
		return err
	}
	at, err := d.device(ctx, cid)
	if err != nil {
		return err
	}
	device, err := d.o.Platform.Device(ctx, at)
	if err != nil {
		return err
	}
	return d.mount(ctx, cid, device, settings, true)
}

func (d *Disks) mount(ctx context.Context, cid, device string, settings messages.Settings, format bool) error {
	var env struct {
		FS      string   `json:"persistent_disk_fs"`
		Options []string `json:"persistent_disk_mount_options"`
	}
	if len(settings.Env) > 0 {
		if err := json.Unmarshal(settings.Env, &env); err != nil {
			return fmt.Errorf("cannot read env of the settings: %w", err)
		}
	}
	if _, err := d.o.Platform.Mount(ctx, device, platform.MountOptions{Format: format, FS: env.FS, Options: env.Options}); err != nil {
		return err
	}
	return home.WriteFile(d.managedFile(), []byte(cid), 0o600)
}

// Unmount tells in BOSH's words what it did.
func (d *Disks) Unmount(ctx context.Context, cid string) (string, error) {
	at, err := d.device(ctx, cid)
	if err != nil {
		return "", err
	}
	if device, ok := d.o.Platform.Present(at); ok {
		point, err := d.o.Platform.Unmount(ctx, device)
		if err != nil {
			return "", err
		}
		if point != "" {
			return fmt.Sprintf("Unmounted %s on %s", at, point), nil
		}
	}
	return "Unknown mount for partition: " + at, nil
}

// Migrate moves the files of one mounted disk to another. Without CIDs they are
// the store and the disk mounted beside it.
func (d *Disks) Migrate(ctx context.Context, from, to string) error {
	var devices [2]string
	for i, cid := range []string{from, to} {
		if cid == "" {
			continue
		}
		at, err := d.device(ctx, cid)
		if err != nil {
			return err
		}
		device, ok := d.o.Platform.Present(at)
		if !ok {
			return fmt.Errorf("cannot migrate disk %s: %s is not there", cid, at)
		}
		devices[i] = device
	}
	if err := d.o.Platform.Migrate(ctx, devices[0], devices[1]); err != nil {
		return err
	}
	if to == "" {
		return nil
	}
	return home.WriteFile(d.managedFile(), []byte(to), 0o600)
}

// Add remembers a disk's hint.
func (d *Disks) Add(cid string, hint []byte) error {
	if cid == "" {
		return errors.New("cannot add a persistent disk: its cid is empty")
	}
	if _, err := devicePath(hint); err != nil {
		return err
	}
	hints, err := d.hints()
	if err != nil {
		return err
	}
	if len(hints) >= maxHints {
		return fmt.Errorf("cannot add persistent disk %s: there are %d already", cid, len(hints))
	}
	hints[cid] = hint
	return home.WriteJSON(d.hintsFile(), hints)
}

// Remove forgets it.
func (d *Disks) Remove(cid string) error {
	hints, err := d.hints()
	if err != nil {
		return err
	}
	if _, ok := hints[cid]; !ok {
		return nil
	}
	delete(hints, cid)
	return home.WriteJSON(d.hintsFile(), hints)
}

// AtBoot mounts the disk of the settings, or the one that was mounted last when
// it is still attached.
func (d *Disks) AtBoot(ctx context.Context, settings messages.Settings) (cid string, err error) {
	if n := len(settings.Disks.Persistent); n > 1 {
		// A boot in the middle of a migration names both; the one that was the
		// store still is.
		if last, err := home.ReadFile(d.managedFile()); err == nil {
			if hint, ok := settings.Disks.Persistent[string(last)]; ok {
				settings.Disks.Persistent = map[string]json.RawMessage{string(last): hint}
				return d.AtBoot(ctx, settings)
			}
		}
		return "", errors.New("Fatal: more than one persistent disk on boot") //nolint:staticcheck // BOSH's text
	}
	for cid, hint := range settings.Disks.Persistent {
		at, err := devicePath(hint)
		if err != nil {
			return cid, err
		}
		device, err := d.o.Platform.Device(ctx, at)
		if err != nil {
			return cid, err
		}
		return cid, d.atBoot(ctx, cid, device, settings)
	}
	last, err := home.ReadFile(d.managedFile())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	hints, err := d.hints()
	if err != nil {
		return "", err
	}
	hint, ok := hints[string(last)]
	if !ok {
		return "", nil
	}
	at, err := devicePath(hint)
	if err != nil {
		return "", err
	}
	device, ok := d.o.Platform.Present(at)
	if !ok {
		return "", nil
	}
	return string(last), d.atBoot(ctx, string(last), device, settings)
}

// atBoot never formats; a disk that was attached and never mounted is mounted
// when that is asked for.
func (d *Disks) atBoot(ctx context.Context, cid, device string, settings messages.Settings) error {
	err := d.mount(ctx, cid, device, settings, false)
	if errors.Is(err, platform.ErrBlank) {
		return nil
	}
	return err
}
