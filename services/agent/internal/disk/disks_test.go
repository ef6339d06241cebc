package disk_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/disk"
	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

type world struct {
	*testing.T
	dir      home.Dir
	volumes  string
	disks    *disk.Disks
	settings messages.Settings
}

func newWorld(t *testing.T) *world {
	t.Helper()
	top := t.TempDir()
	dir, err := home.New(filepath.Join(top, "root", "var", "vcap"), "")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, dir: dir, volumes: filepath.Join(top, "volumes")}
	if err := home.MkdirAll(dir.Bosh(), dir.Device("/dev")); err != nil {
		t.Fatal(err)
	}
	w.disks = disk.New(disk.Options{
		Home: dir, Platform: platform.NewRootless(dir, zerolog.Nop()),
		Settings: func(context.Context) (messages.Settings, error) { return w.settings, nil },
	})
	return w
}

func (w *world) attach(volume, device string) string {
	w.Helper()
	folder := filepath.Join(w.volumes, volume)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.Symlink(folder, w.dir.Device("/dev/"+device)); err != nil {
		w.Fatal(err)
	}
	return folder
}

func (w *world) detach(device string) {
	w.Helper()
	if err := os.Remove(w.dir.Device("/dev/" + device)); err != nil {
		w.Fatal(err)
	}
}

func (w *world) hint(cid, hint string) {
	w.Helper()
	if err := w.disks.Add(cid, []byte(hint)); err != nil {
		w.Fatal(err)
	}
}

func (w *world) mount(cid string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.disks.Mount(ctx, cid); err != nil {
		w.Fatal(err)
	}
}

func (w *world) list(want ...string) {
	w.Helper()
	got, err := w.disks.List(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		w.Error(diff)
	}
}

func TestHints(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, bad := range []string{`7`, `{}`, `"sdc"`, `"/etc/passwd"`, `"/dev/../etc/passwd"`, `{"id":"a/b"}`, `null`} {
		if err := w.disks.Add("v", []byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	w.hint("v", `{"path":"/dev/sdc"}`)
	if err := w.disks.Remove("v"); err != nil {
		t.Fatal(err)
	}
	if err := w.disks.Mount(context.Background(), "v"); err == nil || err.Error() != "Unknown persistent disk: v" {
		t.Errorf("got %v", err)
	}
}

// The 2014 way: the settings, loaded anew, name the device.
func TestSettingsNameTheDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings.Disks.Persistent = map[string]json.RawMessage{"v": json.RawMessage(`"/dev/sdc"`)}
	folder := w.attach("v", "vdc") // as the hypervisor calls it
	w.mount("v")
	if link, _ := os.Readlink(w.dir.Join("store")); link != folder {
		t.Errorf("store leads to %q", link)
	}
	w.list("v")
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	w.hint("old", `"/dev/sdc"`)
	w.hint("new", `"/dev/sdd"`)
	old, fresh := w.attach("old", "sdc"), w.attach("new", "sdd")
	w.mount("old")
	if err := os.MkdirAll(filepath.Join(old, "db"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(old, "db", "rows"), []byte("1"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("rows", filepath.Join(old, "db", "latest")); err != nil {
		t.Fatal(err)
	}
	if err := w.disks.Migrate(ctx, "old", "new"); err == nil {
		t.Error("migrated to a disk that is not mounted")
	}
	w.mount("new")
	w.mount("new")
	w.list("new", "old")
	if link, _ := os.Readlink(w.dir.Join("store_migraton_target")); link != fresh {
		t.Errorf("the target leads to %q", link)
	}
	for range 2 {
		if err := w.disks.Migrate(ctx, "old", "new"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(fresh, "db", "latest")); err != nil || string(got) != "1" {
		t.Errorf("got %q %v", got, err)
	}
	if info, err := os.Stat(filepath.Join(fresh, "db", "rows")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got %v %v", info, err)
	}
	if link, _ := os.Readlink(w.dir.Join("store")); link != fresh {
		t.Errorf("store leads to %q", link)
	}
	w.list("new")
	if got, err := w.disks.Unmount(ctx, "old"); err != nil || got != "Unknown mount for partition: /dev/sdc" {
		t.Errorf("got %q %v", got, err)
	}
}

// A link to a volume that was detached is no mount: the next disk takes its
// place and not the migration target's.
func TestDetachedIsNotMounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hint("a", `"/dev/sdc"`)
	w.attach("a", "sdc")
	w.mount("a")
	w.detach("sdc")
	w.list()
	w.hint("b", `"/dev/sdd"`)
	folder := w.attach("b", "sdd")
	w.mount("b")
	if link, _ := os.Readlink(w.dir.Join("store")); link != folder {
		t.Errorf("store leads to %q", link)
	}
}

func TestFilesAreNotHidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := home.WriteFile(w.dir.Join("store", "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.hint("a", `"/dev/sdc"`)
	w.attach("a", "sdc")
	if err := w.disks.Mount(context.Background(), "a"); err == nil || !strings.Contains(err.Error(), "holds files") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(w.dir.Join("store", "precious")); err != nil {
		t.Error(err)
	}
}

func TestAtBoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	boot := func(want string) {
		t.Helper()
		got, err := w.disks.AtBoot(context.Background(), w.settings)
		if err != nil || got != want {
			t.Errorf("got %q %v, want %q", got, err, want)
		}
	}
	boot("")
	w.hint("a", `"/dev/sdc"`)
	w.attach("a", "sdc")
	boot("") // attached, but never mounted
	w.mount("a")
	if err := os.Remove(w.dir.Join("store")); err != nil {
		t.Fatal(err)
	}
	boot("a")
	w.list("a")
	w.detach("sdc")
	boot("")
	w.attach("b", "sdd")
	two := map[string]json.RawMessage{"a": json.RawMessage(`"/dev/sdc"`), "b": json.RawMessage(`"/dev/sdd"`)}
	w.settings.Disks.Persistent = two
	if err := home.WriteFile(w.dir.Bosh("managed_disk_settings.json"), []byte("b"), 0o600); err != nil {
		t.Fatal(err)
	}
	boot("b") // a boot in the middle of a migration: the store stays the store
	w.settings.Disks.Persistent = map[string]json.RawMessage{"c": nil, "d": nil}
	if _, err := w.disks.AtBoot(context.Background(), w.settings); err == nil || err.Error() != "Fatal: more than one persistent disk on boot" {
		t.Errorf("got %v", err)
	}
}
