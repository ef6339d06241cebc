package settings_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/renameio/v2"

	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/registry/internal/settings"
)

func TestAPI(t *testing.T) {
	t.Parallel()
	h := begin(t)
	for name, addresses := range map[string][]string{"vm-here": {"10.9.9.9", "::ffff:127.0.0.1"}, "vm-there": {"10.9.9.9"}, "vm-none": nil} {
		if _, err := h.put(t, messages.SettingsPut{Name: name, Addresses: addresses}, document); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	full := `{"status":"ok","settings":` + string(text) + `}`
	const (
		ok, denied, missing, failed = `{"status":"ok"}`, `{"status":"access_denied"}`, `{"status":"not_found"}`, `{"status":"error"}`
		here, there, none, gone     = "/instances/vm-here/settings", "/instances/vm-there/settings", "/instances/vm-none/settings", "/instances/vm-gone/settings"
	)
	own := messages.InstancePassword(h.password, "vm-there")
	large := `{"a":"` + strings.Repeat("x", settings.MaxSettings) + `"}`
	for _, tc := range []struct {
		name, method, path, user, password, body string
		code                                     int
		want                                     string
		headers                                  []string
	}{
		{"the instance itself", "GET", here, "", "", "", 200, full, nil},
		{"the instance with a wrong password", "GET", here, h.user, "wrong", "", 200, full, nil},
		{"a service", "GET", there, h.user, h.password, "", 200, full, nil},
		{"another address", "GET", there, "", "", "", 403, denied, nil},
		{"the instance by its own credential", "GET", there, "vm-there", own, "", 200, full, nil},
		{"another instance's credential", "GET", there, "vm-none", messages.InstancePassword(h.password, "vm-none"), "", 403, denied, nil},
		{"another name with an instance's password", "GET", none, "vm-none", own, "", 403, denied, nil},
		{"the instance writes with its credential", "PUT", there, "vm-there", own, document, 401, denied, nil},
		{"the instance deletes with its credential", "DELETE", there, "vm-there", own, "", 401, denied, nil},
		{"a wrong password", "GET", there, h.user, "wrong", "", 403, denied, nil},
		{"a wrong user", "GET", there, "admin", h.password, "", 403, denied, nil},
		{"no recorded address", "GET", none, "", "", "", 403, denied, nil},
		{"forwarding headers", "GET", there, "", "", "", 403, denied, []string{"X-Forwarded-For", "10.9.9.9", "Forwarded", "for=10.9.9.9", "X-Real-IP", "10.9.9.9"}},
		{"an unknown instance", "GET", gone, h.user, h.password, "", 404, missing, nil},
		{"an unknown instance, anonymously", "GET", gone, "", "", "", 404, missing, nil},
		{"a list", "GET", "/instances", h.user, h.password, "", 404, missing, nil},
		{"a list with a slash", "GET", "/instances/", h.user, h.password, "", 404, missing, nil},
		{"a wildcard", "GET", "/instances/%3E/settings", h.user, h.password, "", 404, missing, nil},
		{"a path out", "GET", "/instances/../settings", h.user, h.password, "", 404, missing, nil},
		{"the root", "GET", "/", "", "", "", 404, missing, nil},
		{"another method", "POST", here, h.user, h.password, document, 404, missing, nil},
		{"a write without a credential", "PUT", there, "", "", document, 401, denied, nil},
		{"a write with a wrong password", "PUT", there, h.user, "wrong", document, 401, denied, nil},
		{"the instance writes", "PUT", here, "", "", document, 401, denied, nil},
		{"a delete without a credential", "DELETE", here, "", "", "", 401, denied, nil},
		{"nothing written", "PUT", gone, h.user, h.password, "", 400, failed, nil},
		{"blanks written", "PUT", gone, h.user, h.password, " \n", 400, failed, nil},
		{"no JSON written", "PUT", gone, h.user, h.password, "settings", 400, failed, nil},
		{"cut JSON written", "PUT", gone, h.user, h.password, document[:20], 400, failed, nil},
		{"too much written", "PUT", gone, h.user, h.password, large, 413, failed, nil},
		{"10 MB written", "PUT", gone, h.user, h.password, strings.Repeat("x", 10<<20), 413, failed, nil},
		{"refused writes leave nothing", "GET", gone, h.user, h.password, "", 404, missing, nil},
		{"a create", "PUT", gone, h.user, h.password, document, 200, ok, nil},
		{"a create is read", "GET", gone, h.user, h.password, "", 200, full, nil},
		{"a replacement", "PUT", here, h.user, h.password, ` {"b" : 1.0} `, 200, ok, nil},
		{"a replacement is read by the instance, byte for byte", "GET", here, "", "", "", 200, `{"status":"ok","settings":" {\"b\" : 1.0} "}`, nil},
		{"a delete", "DELETE", here, h.user, h.password, "", 200, ok, nil},
		{"a delete again", "DELETE", here, h.user, h.password, "", 200, ok, nil},
		{"deleted", "GET", here, h.user, h.password, "", 404, missing, nil},
	} {
		code, header, body := h.do(t, tc.method, tc.path, tc.user, tc.password, tc.body, tc.headers...)
		if code != tc.code || body != tc.want {
			t.Errorf("%s: %d %s, want %d %s", tc.name, code, body, tc.code, tc.want)
		}
		if got := header.Get("WWW-Authenticate"); (code == 401) != (got == `Basic realm="Bosh Registry"`) {
			t.Errorf("%s: WWW-Authenticate is %q", tc.name, got)
		}
		if got := header.Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: Content-Type is %q", tc.name, got)
		}
	}
	// What one door stores the other reads.
	if got, _, err := h.get(t, "vm-gone"); err != nil || got != document {
		t.Errorf("on the bus: %s %v", got, err)
	}
	if code, _, _ := h.do(t, "HEAD", "/", "", "", ""); code == 0 {
		t.Error("HEAD / has no answer")
	}
}

func TestCredential(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "keys", "registry.http")
	if _, err := settings.OpenCredential(path); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v %v", path, info.Mode(), err)
	}
	if _, err := settings.OpenCredential(path); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != string(first) {
		t.Errorf("the credential changed: %v", err)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "keys", "*")); err != nil || len(files) != 1 {
		t.Errorf("there are %q: %v", files, err)
	}
	for name, tc := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"no password": {"registry", 0o600},
		"no user":     {":x", 0o600},
		"empty":       {"", 0o600},
		"readable":    {"a:b", 0o644},
		"huge":        {"a:" + strings.Repeat("b", 5000), 0o600},
	} {
		bad := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(bad, []byte(tc.text), tc.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := settings.OpenCredential(bad); messages.CodeOf(err) != messages.CodeStateInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A credential that is replaced is known at once, and that of before still.
func TestCredentialRotation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "registry.http")
	write := func(path, text string) {
		t.Helper()
		if err := renameio.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path, "registry:first")
	c, err := settings.OpenCredential(path)
	if err != nil {
		t.Fatal(err)
	}
	good := func(password string) bool {
		t.Helper()
		r := httptest.NewRequest(http.MethodPut, "/", nil)
		r.SetBasicAuth("registry", password)
		return c.Matches(r)
	}
	instance := func(password string) bool {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth("vm-1", messages.InstancePassword(password, "vm-1"))
		return c.MatchesInstance(r, "vm-1") && !c.MatchesInstance(r, "vm-2")
	}
	if !good("first") || good("second") || !instance("first") || instance("second") {
		t.Error("before the rotation")
	}
	write(daemon.OldCredentialFile(path), "registry:first")
	write(path, "registry:second")
	if !good("first") || !good("second") || !instance("first") || !instance("second") || good("third") {
		t.Error("after the rotation")
	}
	write(path, "no credential") // keeps what was there
	if !good("second") || good("no credential") {
		t.Error("after a file that holds none")
	}
}
