package home_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

func TestPaths(t *testing.T) {
	t.Parallel()
	cases := []struct{ base, root, wantRoot, device, placed string }{
		{"/x/var/vcap", "", "/x", "/x/dev/sdc", "/x/var/vcap/sys/a.pid"},
		{"/var/vcap", "", "/", "/dev/sdc", "/var/vcap/sys/a.pid"},
		{"/x/base", "", "/x/base", "/x/base/dev/sdc", "/x/base/sys/a.pid"},
		{"/x/base", "/y", "/y", "/y/dev/sdc", "/x/base/sys/a.pid"},
	}
	for _, c := range cases {
		d, err := home.New(c.base, c.root)
		if err != nil {
			t.Fatal(err)
		}
		if d.Root() != c.wantRoot || d.Device("/dev/sdc") != c.device || d.Device(c.device) != c.device {
			t.Errorf("%+v: root %s, device %s", c, d.Root(), d.Device("/dev/sdc"))
		}
		if got := d.Place("/var/vcap/sys/a.pid"); got != c.placed {
			t.Errorf("%+v: placed at %s", c, got)
		}
		for path, want := range map[string]string{"/var/vcap/../../etc": "/var/vcap/../../etc", "/var/vcapx/a": "/var/vcapx/a", "/bin/sh": "/bin/sh", "/var/vcap": c.base} {
			if got := d.Place(path); got != want {
				t.Errorf("%s is placed at %s", path, got)
			}
		}
	}
	if _, err := home.New("", ""); err == nil {
		t.Error("an empty base folder was taken")
	}
}

func TestWriteFileReplacesAndIsClosedToOthers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "file")
	for _, content := range []string{"long content", "short"} {
		if err := home.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := home.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("got %q %v", got, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v %v", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
}

// Writers of one file take turns, and what a killed one has left is used again.
func TestWritersTakeTurns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(filepath.Join(dir, ".file.new"), []byte("half of something that is longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	contents := []string{strings.Repeat("a", 5000), strings.Repeat("b", 9000), "c"}
	var writers sync.WaitGroup
	for range 20 {
		for _, content := range contents {
			writers.Go(func() {
				if err := home.WriteFile(path, []byte(content), 0o640); err != nil {
					t.Error(err)
				}
			})
		}
	}
	writers.Wait()
	if got, err := home.ReadFile(path); err != nil || !slices.Contains(contents, string(got)) {
		t.Errorf("got %d bytes of a mixture: %v", len(got), err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
}

func TestSymlinkReplacesLinksOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "link")
	for _, target := range []string{"a", "b"} {
		if err := home.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.Readlink(path); got != target {
			t.Errorf("got %s", got)
		}
	}
	folder := filepath.Join(dir, "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := home.Symlink("a", folder); err == nil {
		t.Error("a folder was replaced")
	}
}
