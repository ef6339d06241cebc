package seal_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

func open(t testing.TB, dir, role string) *seal.Ring {
	t.Helper()
	r, err := seal.OpenRing(dir, role)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSealOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	alice, bob := open(t, dir, "orchestrator"), open(t, dir, "cpi")
	to, err := seal.PublicKey(dir, "cpi")
	if err != nil || to != bob.Public() {
		t.Fatalf("public key %q, %v", to, err)
	}
	sealed, err := alice.Seal(to, map[string]string{"password": "marker"})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed.Box, []byte("marker")) {
		t.Error("the box shows what is in it")
	}
	var got map[string]string
	if err := bob.Open(sealed, &got); err != nil || got["password"] != "marker" {
		t.Errorf("opened %v, %v", got, err)
	}
	again := open(t, dir, "cpi")
	if err := again.Open(sealed, &got); err != nil {
		t.Errorf("the key is not the same after a restart: %v", err)
	}
	if alice.Digest([]byte("x")) == bob.Digest([]byte("x")) || bob.Digest([]byte("x")) != again.Digest([]byte("x")) {
		t.Error("digests must differ between roles and stay between restarts")
	}
}

func TestBadSeals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	alice, bob, eve := open(t, dir, "orchestrator"), open(t, dir, "cpi"), open(t, dir, "registry")
	sealed, err := alice.Seal(bob.Public(), "marker")
	if err != nil {
		t.Fatal(err)
	}
	cut, foreign, flipped := *sealed, *sealed, *sealed
	cut.Box = cut.Box[:len(cut.Box)-3]
	foreign.From = eve.Public()
	flipped.Box = append([]byte{}, flipped.Box...)
	flipped.Box[len(flipped.Box)-1] ^= 1
	var number int
	for name, err := range map[string]error{
		"another role's": eve.Open(sealed, new(string)), "cut": bob.Open(&cut, new(string)), "another sender": bob.Open(&foreign, new(string)),
		"changed": bob.Open(&flipped, new(string)), "nothing": bob.Open(nil, new(string)), "another shape": bob.Open(sealed, &number),
	} {
		if messages.CodeOf(err) != messages.CodeSealUnreadable {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "marker") {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
	if _, err := alice.Seal("XNOKEY", "x"); messages.CodeOf(err) != messages.CodeSealUnreadable {
		t.Errorf("sealed to no key: %v", err)
	}
}

func TestOldKeysStillOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := open(t, dir, "cpi")
	sealed, err := old.Seal(old.Public(), "kept")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "cpi.xk"), filepath.Join(dir, "cpi.1.xk")); err != nil {
		t.Fatal(err)
	}
	now := open(t, dir, "cpi")
	var got string
	if err := now.Open(sealed, &got); err != nil || got != "kept" || now.Public() == old.Public() {
		t.Errorf("opened %q, %v", got, err)
	}
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var wg sync.WaitGroup
	keys := make([]string, 8)
	for i := range keys {
		wg.Go(func() {
			if r, err := seal.OpenRing(dir, "cpi"); err == nil {
				keys[i] = r.Public()
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k == "" || k != keys[0] {
			t.Errorf("processes that start at once have different keys: %v", keys)
		}
	}
	path := filepath.Join(dir, "cpi.xk")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.OpenRing(dir, "cpi"); messages.CodeOf(err) != messages.CodeSealUnreadable {
		t.Errorf("a key that others can read: %v", err)
	}
	if _, err := seal.OpenRing(dir, "../x"); err == nil {
		t.Error("a role that is a path")
	}
	if _, err := seal.PublicKey(dir, "nobody"); messages.CodeOf(err) != messages.CodeSealUnreadable {
		t.Errorf("no such key: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	ring, err := seal.Ephemeral()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ring.Public(), []byte("xkv1 and then nothing"))
	f.Fuzz(func(t *testing.T, from string, box []byte) {
		var v any
		err := ring.Open(&messages.Sealed{To: ring.Public(), From: from, Box: box}, &v)
		if messages.CodeOf(err) != messages.CodeSealUnreadable {
			t.Errorf("garbage opened: %v", err)
		}
	})
}

// A running process meets its role's new key, and recognises what it digested
// under the old one.
func TestRotationUnderARunningRing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	running := open(t, dir, "cpi")
	digest := running.Digest([]byte("config"))
	for range 2 {
		if _, err := seal.Rotate(dir, "cpi"); err != nil {
			t.Fatal(err)
		}
		to, err := seal.PublicKey(dir, "cpi")
		if err != nil {
			t.Fatal(err)
		}
		other, err := seal.Ephemeral()
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := other.Seal(to, "after")
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := running.Open(sealed, &got); err != nil || got != "after" {
			t.Errorf("sealed to the new key: %q, %v", got, err)
		}
	}
	fresh, err := seal.ReadRing(dir, "cpi")
	if err != nil {
		t.Fatal(err)
	}
	if !fresh.Recognise([]byte("config"), digest) || fresh.Digest([]byte("config")) == digest {
		t.Error("a digest under an old key is not recognised, or still made")
	}
	if fresh.Recognise([]byte("other"), digest) || fresh.Recognise([]byte("config"), "") {
		t.Error("another's digest is recognised")
	}
	if _, err := seal.ReadRing(t.TempDir(), "cpi"); messages.CodeOf(err) != messages.CodeSealUnreadable {
		t.Errorf("a folder without the key: %v", err)
	}
}

// What rests is sealed to the newest key, also by who has read an older one; an
// old key can then be forgotten.
func TestOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ring, err := seal.OpenRing(dir, "cpi")
	if err != nil {
		t.Fatal(err)
	}
	before := ring.Public()
	old, err := ring.Seal(ring.Own(), "old")
	if err != nil || old.To != before {
		t.Fatalf("sealed to %s: %v", old.To, err)
	}
	fresh, err := seal.Rotate(dir, "cpi")
	if err != nil {
		t.Fatal(err)
	}
	box, err := ring.Seal(ring.Own(), "new")
	if err != nil || box.To != fresh.Public() || ring.Public() != before {
		t.Errorf("sealed to %s: %v", box.To, err)
	}
	keys, err := seal.OldKeys(dir, "cpi")
	if err != nil || len(keys) != 1 || keys[0].Public != before {
		t.Fatalf("the old keys are %v: %v", keys, err)
	}
	if err := keys[0].Forget(); err != nil {
		t.Fatal(err)
	}
	last, err := seal.ReadRing(dir, "cpi")
	if err != nil {
		t.Fatal(err)
	}
	var text string
	if err := last.Open(box, &text); err != nil || text != "new" {
		t.Errorf("what was sealed by who had the old key: %q, %v", text, err)
	}
	if err := last.Open(old, &text); messages.CodeOf(err) != messages.CodeSealUnreadable {
		t.Errorf("what was sealed to a key that is gone: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "cpi.xpub")); err != nil {
		t.Fatal(err)
	}
	if ring.Own() != before {
		t.Error("without a public key it is not the one that was read")
	}
}

// Who cannot open something is told for whom it is, and what to do.
func TestWhose(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	cpi, registry, other := open(t, dir, "cpi"), open(t, dir, "registry"), open(t, elsewhere, "registry")
	passing, err := seal.Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		to     string
		by     *seal.Ring
		change func(*messages.Sealed)
		says   []string
	}{
		"another role":            {registry.Public(), cpi, nil, []string{"for the registry", "this is the cpi", "copy cpi.xpub"}},
		"another control plane":   {other.Public(), registry, nil, []string{"none of the registry's in " + dir, "copy registry.xpub", "registry.<n>.xk"}},
		"a program that is gone":  {cpi.Public(), passing, nil, []string{"not this program's", "ask again"}},
		"truncated":               {cpi.Public(), cpi, func(s *messages.Sealed) { s.Box = s.Box[:len(s.Box)-1] }, []string{"the cpi's key", "cut or changed"}},
		"sealed by somebody else": {cpi.Public(), cpi, func(s *messages.Sealed) { s.From = other.Public() }, []string{"the cpi's key", "cut or changed", "send the request again"}},
		"another kind of content": {cpi.Public(), cpi, nil, []string{"the cpi's key", "not what was expected", "different versions"}},
	} {
		box, err := cpi.Seal(c.to, map[string]string{"password": "marker-secret"})
		if err != nil {
			t.Fatal(err)
		}
		if c.change != nil {
			c.change(box)
		}
		var number int
		err = c.by.Open(box, &number)
		if messages.CodeOf(err) != messages.CodeSealUnreadable {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := err.Error() + " " + messages.AsError(err).Hint
		for _, want := range c.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q: %s", name, want, text)
			}
		}
		if strings.Contains(text, "marker-secret") {
			t.Errorf("%s tells the secret", name)
		}
	}
}
