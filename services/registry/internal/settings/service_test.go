package settings_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/registry/internal/settings"
)

const document = `{"agent_id":"a1","mbus":"nats://agent:marker-secret@10.0.0.1:4222","n":12345678901234567890}`

func code(t *testing.T, what string, err error, want messages.Code) {
	t.Helper()
	if messages.CodeOf(err) != want {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
	if err != nil && strings.Contains(err.Error(), marker) {
		t.Errorf("%s: the error tells a secret: %v", what, err)
	}
}

func TestService(t *testing.T) {
	t.Parallel()
	h := begin(t)
	_, _, err := h.get(t, "vm-1")
	code(t, "get of nothing", err, messages.CodeSettingsNotFound)
	code(t, "delete of nothing", h.delete(t, "vm-1"), "")

	r1, err := h.put(t, messages.SettingsPut{Name: "vm-1"}, document)
	code(t, "create", err, "")
	if text, rev, err := h.get(t, "vm-1"); err != nil || text != document || rev != r1 {
		t.Errorf("get: %s at %d, %v", text, rev, err)
	}
	again, err := h.put(t, messages.SettingsPut{Name: "vm-1"}, document)
	if code(t, "the same create again", err, ""); again != r1 {
		t.Errorf("the same create again: revision %d, want %d", again, r1)
	}
	_, err = h.put(t, messages.SettingsPut{Name: "vm-1"}, `{"agent_id":"other"}`)
	code(t, "another create", err, messages.CodeConflict)

	changed := `{"agent_id":"a1","disks":{}}`
	r2, err := h.put(t, messages.SettingsPut{Name: "vm-1", Revision: r1}, changed)
	code(t, "update", err, "")
	again, err = h.put(t, messages.SettingsPut{Name: "vm-1", Revision: r1}, changed)
	if code(t, "the same update again", err, ""); again != r2 {
		t.Errorf("the same update again: revision %d, want %d", again, r2)
	}
	_, err = h.put(t, messages.SettingsPut{Name: "vm-1", Revision: r1}, document)
	code(t, "a late update", err, messages.CodeConflict)
	if text, rev, err := h.get(t, "vm-1"); err != nil || text != changed || rev != r2 {
		t.Errorf("get after the update: %s at %d, %v", text, rev, err)
	}
	code(t, "delete", h.delete(t, "vm-1"), "")
	_, _, err = h.get(t, "vm-1")
	code(t, "get of what was deleted", err, messages.CodeSettingsNotFound)
	_, err = h.put(t, messages.SettingsPut{Name: "vm-1"}, document)
	code(t, "create again", err, "")
}

func TestServiceRefuses(t *testing.T) {
	t.Parallel()
	h := begin(t)
	stranger, err := seal.Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := stranger.Seal(stranger.Public(), json.RawMessage(document))
	if err != nil {
		t.Fatal(err)
	}
	cut, err := h.ring.Seal(h.registry, json.RawMessage(document))
	if err != nil {
		t.Fatal(err)
	}
	cut.Box = cut.Box[:len(cut.Box)-1]
	for name, tc := range map[string]struct {
		put  messages.SettingsPut
		text string
		want messages.Code
	}{
		"no name":           {messages.SettingsPut{}, document, messages.CodeInvalidName},
		"a wildcard":        {messages.SettingsPut{Name: ">"}, document, messages.CodeInvalidName},
		"a dotted name":     {messages.SettingsPut{Name: "vm.1"}, document, messages.CodeInvalidName},
		"no object":         {messages.SettingsPut{Name: "vm-1"}, `"marker-secret"`, messages.CodeMalformed},
		"an array":          {messages.SettingsPut{Name: "vm-1"}, `["marker-secret"]`, messages.CodeMalformed},
		"too large":         {messages.SettingsPut{Name: "vm-1"}, `{"a":"` + strings.Repeat("x", settings.MaxSettings) + `"}`, messages.CodeTooLarge},
		"not an address":    {messages.SettingsPut{Name: "vm-1", Addresses: []string{"marker"}}, document, messages.CodeMalformed},
		"for another":       {messages.SettingsPut{Name: "vm-1", Settings: elsewhere}, document, messages.CodeSealUnreadable},
		"cut":               {messages.SettingsPut{Name: "vm-1", Settings: cut}, document, messages.CodeSealUnreadable},
		"nothing sealed":    {messages.SettingsPut{Name: "vm-1", Settings: &messages.Sealed{}}, document, messages.CodeSealUnreadable},
		"a long digest":     {messages.SettingsPut{Name: "vm-1", Digest: strings.Repeat("d", 1000)}, document, messages.CodeTooLarge},
		"an unknown update": {messages.SettingsPut{Name: "vm-1", Revision: 77}, document, messages.CodeConflict},
	} {
		_, err := h.put(t, tc.put, tc.text)
		code(t, name, err, tc.want)
	}
	if _, err := h.put(t, messages.SettingsPut{Name: "vm-1"}, document); err != nil {
		t.Fatal(err)
	}
	err = h.cpi.Call(within(t), messages.ServiceSubject("registry", messages.SvcSettingsGet), messages.SettingsGet{Name: "vm-1", Asker: "nobody"}, nil)
	code(t, "an asker without a key", err, messages.CodeSealUnreadable)
	err = h.cpi.Call(within(t), messages.ServiceSubject("registry", messages.SvcSettingsGet), []string{marker}, nil)
	code(t, "no request", err, messages.CodeMalformed)
}

// TestLargestFits stores the largest document, made of what grows most on its
// way.
func TestLargestFits(t *testing.T) {
	t.Parallel()
	h := begin(t)
	text := `{"a":"` + strings.Repeat(`\"`, (settings.MaxSettings-8)/2) + `"}`
	if len(text) != settings.MaxSettings {
		t.Fatalf("the text has %d bytes", len(text))
	}
	if _, err := h.put(t, messages.SettingsPut{Name: "vm-1"}, text); err != nil {
		t.Fatal(err)
	}
	if got, _, err := h.get(t, "vm-1"); err != nil || got != text {
		t.Errorf("%d bytes came back of %d: %v", len(got), len(text), err)
	}
}

// TestRest looks at what rests on the bus: nothing readable, and nothing that
// works under another name.
func TestRest(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	h := begin(t)
	for _, name := range []string{"vm-1", "vm-2"} {
		if _, err := h.put(t, messages.SettingsPut{Name: name}, strings.Replace(document, "a1", name, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, body := h.do(t, "PUT", "/instances/vm-3/settings", h.user, h.password, document); body != `{"status":"ok"}` {
		t.Fatal(body)
	}
	admin := h.connect(t, h.cpi.URL(), messages.RoleAdmin)
	bucket, err := admin.Bucket(ctx, messages.BucketSettings)
	if err != nil {
		t.Fatal(err)
	}
	one, err := bucket.Get(ctx, "vm-1")
	if err != nil {
		t.Fatal(err)
	}
	two, err := bucket.Get(ctx, "vm-2")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(one.Value), marker) || strings.Contains(string(one.Value), "agent_id") {
		t.Errorf("the bucket tells settings: %s", one.Value)
	}
	if _, err := bucket.Put(ctx, "vm-1", two.Value, one.Revision); err != nil {
		t.Fatal(err)
	}
	_, _, err = h.get(t, "vm-1")
	code(t, "settings moved to another name", err, messages.CodeSealUnreadable)

	_, _, _ = h.do(t, "GET", "/instances/vm-2/settings", "wrong", marker, "")
	h.stop()
	if strings.Contains(h.log.String(), marker) || strings.Contains(h.log.String(), h.password) {
		t.Errorf("the log tells a secret:\n%s", h.log)
	}
	if !strings.Contains(h.log.String(), "settings stored") {
		t.Errorf("the log tells nothing:\n%s", h.log)
	}
	err = filepath.WalkDir(filepath.Join(h.dir, "jetstream"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), marker) {
			t.Errorf("%s holds a secret", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "registry.json")); !os.IsNotExist(err) {
		t.Errorf("an ended registry leaves its address: %v", err)
	}
}

// TestTwo runs a second registry with the same keys, then ends the first.
func TestTwo(t *testing.T) {
	t.Parallel()
	h := begin(t)
	if _, err := h.put(t, messages.SettingsPut{Name: "vm-1"}, document); err != nil {
		t.Fatal(err)
	}
	first, second := *h, *h
	second.run(t, h.cpi.URL())
	for range 10 {
		if _, _, err := h.get(t, "vm-1"); err != nil {
			t.Error(err)
		}
	}
	if code, _, _ := second.do(t, "GET", "/instances/vm-1/settings", h.user, h.password, ""); code != 200 {
		t.Errorf("the second registry answers %d", code)
	}
	first.stop()
	if _, _, err := h.get(t, "vm-1"); err != nil {
		t.Errorf("after the first ended: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(h.dir, "registry.json")); err != nil || !strings.Contains(string(b), second.url) {
		t.Errorf("registry.json holds %s, want %s: %v", b, second.url, err)
	}
}
