package seal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

// A sender's key longer than any key made the curve library run out of its
// buffer.
func TestKeysOfAnyShape(t *testing.T) {
	t.Parallel()
	ring, err := seal.Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := ring.Seal(ring.Public(), "marker")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"", "X", strings.Repeat("X", 55), ring.Public() + "A", ring.Public() + "AAAAAAAA", strings.Repeat("X", 1<<20), "\x00\n", "UAX", strings.ToLower(ring.Public())} {
		bad := *sealed
		bad.From = key
		var v string
		if err := ring.Open(&bad, &v); messages.CodeOf(err) != messages.CodeSealUnreadable {
			t.Errorf("opened from %.20q: %v", key, err)
		}
		bad = *sealed
		bad.To = key
		err := ring.Open(&bad, &v)
		if messages.CodeOf(err) != messages.CodeSealUnreadable || len(err.Error()) > 200 {
			t.Errorf("opened for %.20q: %.300v", key, err)
		}
		if _, err := ring.Seal(key, "x"); messages.CodeOf(err) != messages.CodeSealUnreadable {
			t.Errorf("sealed to %.20q: %v", key, err)
		}
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys [1]") // no pattern
	first := open(t, dir, "registry")
	sealed, err := first.Seal(first.Public(), "kept")
	if err != nil {
		t.Fatal(err)
	}
	var rings []string
	for range 3 {
		ring, err := seal.Rotate(dir, "registry")
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := ring.Open(sealed, &got); err != nil || got != "kept" {
			t.Errorf("after a rotation: %q, %v", got, err)
		}
		public, err := seal.PublicKey(dir, "registry")
		if err != nil || public != ring.Public() {
			t.Errorf("the public file says %s, %v", public, err)
		}
		rings = append(rings, ring.Public())
	}
	if rings[0] == first.Public() || rings[0] == rings[1] || rings[1] == rings[2] {
		t.Error("a rotation made no new key")
	}
	if err := os.Chmod(filepath.Join(dir, "registry.2.xk"), 0o604); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.OpenRing(dir, "registry"); messages.CodeOf(err) != messages.CodeSealUnreadable {
		t.Errorf("an old key that others can read: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(strings.NewReplacer("[", "\\[").Replace(dir), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestNoKeyFiles(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"empty": "", "garbage": "\x00\xff", "large": strings.Repeat("S", 4096), "another kind": "SUAM2UVTEYJ4XT2QN6FQYBF7RGXRQ4DMMDSNZZJAUK7IQHC7T6SNFJYTEE",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "cpi.xk")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := seal.OpenRing(dir, "cpi"); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v", name, r, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "cpi.xpub"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := seal.PublicKey(dir, "cpi"); messages.CodeOf(err) != messages.CodeSealUnreadable {
			t.Errorf("%s as a public key: %v", name, err)
		}
	}
	if _, err := seal.PublicKey(t.TempDir(), "../../etc/x"); messages.CodeOf(err) != messages.CodeInvalidName {
		t.Errorf("a role that is a path: %v", err)
	}
}

func TestRingShowsNoSeed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ring := open(t, dir, "cpi")
	for _, text := range []string{fmt.Sprint(ring), fmt.Sprintf("%+v", ring), fmt.Sprintf("%#v", ring)} {
		if text != "ring of "+ring.Public()[:12] {
			t.Errorf("shows %s", text)
		}
	}
}
