package bootstrap_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/bootstrap"
	"github.com/microbosh/microbosh/services/agent/internal/disk"
	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

func TestStepsAreBOSHsInItsOrder(t *testing.T) {
	t.Parallel()
	var all, short []string
	for _, step := range bootstrap.Steps() {
		all = append(all, step.Name)
		if step.Short {
			short = append(short, step.Name)
		}
	}
	want := strings.Fields(`load_settings update_iptables update_passwords update_agent_id update_credentials
		update_hostname update_mbus update_blobstore setup_networking update_time setup_data_disk setup_data_sys
		setup_tmp monit_user monit_alerts mount_persistent_disk harden_permissions`)
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
	want = strings.Fields("load_settings update_agent_id update_credentials update_mbus update_blobstore")
	if diff := cmp.Diff(want, short); diff != "" {
		t.Error(diff)
	}
}

// world is a VM with a metadata service and a registry.
type world struct {
	*testing.T
	dir     home.Dir
	log     bytes.Buffer
	answers map[string]string // by path
	auth    string            // of the last request to the registry
	url     string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := home.New(filepath.Join(t.TempDir(), "var", "vcap"), "")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, dir: dir, answers: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/instances/") {
			user, password, _ := r.BasicAuth()
			w.auth = user + ":" + password
		}
		body, ok := w.answers[r.URL.Path]
		if !ok {
			http.NotFound(out, r)
			return
		}
		fmt.Fprint(out, body)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *world) boot(configure bool) (bootstrap.State, error) {
	w.Helper()
	log := zerolog.New(&w.log)
	sources, err := bootstrap.Sources(bootstrap.SourcesOptions{Home: w.dir, Infrastructure: "openstack", Metadata: w.url, Media: platform.NewRootless(w.dir, log), Log: log})
	if err != nil {
		w.Fatal(err)
	}
	loader := bootstrap.NewLoader(bootstrap.LoaderOptions{Home: w.dir, Sources: sources, Patience: time.Millisecond, Log: log})
	machine := platform.NewRootless(w.dir, log)
	return bootstrap.Run(context.Background(), bootstrap.Options{
		Home: w.dir, Configure: configure, Loader: loader, Platform: machine, Log: log,
		Disks: disk.New(disk.Options{Home: w.dir, Platform: machine, Settings: loader.Settings}),
	})
}

const settings = `{"agent_id":"a-1","vm":{"name":"vm-1"},"mbus":"nats://agent:pw@bus:4222","ntp":["n"],
	"blobstore":{"provider":"local","options":{"blobstore_path":"/var/vcap/x"}},"networks":{},"disks":{"system":"/dev/sda","persistent":{}},
	"env":{"bosh":{"password":"secret-hash"}}}`

func TestSettingsSources(t *testing.T) {
	t.Parallel()
	registry := func(w *world) string {
		return fmt.Sprintf(`{"registry":{"endpoint":"%s"},"server":{"name":"vm-1"}}`, strings.Replace(w.url, "://", "://admin:secret-pw@", 1))
	}
	inRegistry := func() string {
		body, _ := json.Marshal(map[string]string{"settings": settings, "status": "ok"})
		return string(body)
	}
	cases := map[string]struct {
		given  func(*world)
		source string
		fails  string
	}{
		"merged into user data": {given: func(w *world) { w.answers["/latest/user-data"] = settings }, source: "metadata"},
		"base64 user data": {given: func(w *world) {
			w.answers["/latest/user-data"] = base64.StdEncoding.EncodeToString([]byte(settings))
		}, source: "metadata"},
		"registry": {given: func(w *world) {
			w.answers["/latest/user-data"] = registry(w)
			w.answers["/instances/vm-1/settings"] = inRegistry()
		}, source: "metadata"},
		"injected file": {given: func(w *world) { w.file("user_data.json", settings) }, source: "file"},
		"injected file, registry": {given: func(w *world) {
			w.file("user_data.json", registry(w))
			w.answers["/instances/vm-1/settings"] = inRegistry()
		}, source: "file"},
		"config drive": {given: func(w *world) {
			w.drive("ec2/latest/user-data", settings)
			w.answers["/latest/user-data"] = "[]" // is not asked
		}, source: "config drive"},
		"file before the drive": {given: func(w *world) {
			w.drive("ec2/latest/user-data", "[]")
			w.file("agent-bootstrap-env.json", settings)
		}, source: "file"},
		"cached copy": {given: func(w *world) { w.file("settings.json", settings) }, source: "cached copy"},
		"cached copy while the registry has none": {given: func(w *world) {
			w.answers["/latest/user-data"] = registry(w)
			w.file("settings.json", settings)
		}, source: "cached copy"},
		"nothing":             {given: func(*world) {}, fails: "could neither load infrastructure settings nor cached settings from: "},
		"user data is a list": {given: func(w *world) { w.answers["/latest/user-data"] = "[]" }, fails: "cannot parse user data"},
		"no endpoint":         {given: func(w *world) { w.answers["/latest/user-data"] = `{}` }, fails: "Cannot get Bosh registry endpoint from user data"},
		"no server name": {given: func(w *world) {
			w.answers["/latest/user-data"] = `{"registry":{"endpoint":"http://admin:secret-pw@127.0.0.1:1"}}`
		}, fails: "Cannot get OpenStack server name from user data"},
		"registry is away": {given: func(w *world) {
			w.answers["/latest/user-data"] = `{"registry":{"endpoint":"http://admin:secret-pw@127.0.0.1:1"},"server":{"name":"x"}}`
		}, fails: "cannot read the endpoint"},
		"registry answers nonsense": {given: func(w *world) {
			w.answers["/latest/user-data"] = registry(w)
			w.answers["/instances/vm-1/settings"] = `{"settings":7}`
		}, fails: "Invalid response received from Bosh registry"},
		"no agent id": {given: func(w *world) { w.file("settings.json", `{"mbus":"nats://x"}`) }, fails: "step update_agent_id"},
		"half of the keys of encrypted messages": {given: func(w *world) {
			w.file("settings.json", strings.Replace(settings, `"password"`, `"credentials":{"crypt_key":"k"},"password"`, 1))
		}, fails: "step update_credentials"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.given(w)
			state, err := w.boot(true)
			for _, secret := range []string{"secret-pw", "secret-hash", "agent:pw"} {
				if strings.Contains(w.log.String(), secret) || (err != nil && strings.Contains(err.Error(), secret)) {
					t.Errorf("%q is told: %v\n%s", secret, err, &w.log)
				}
			}
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("got %v, want %q", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if state.AgentID != "a-1" || len(state.Mbus.URLs) != 1 || state.Blobstore.Options["blobstore_path"] != "/var/vcap/x" {
				t.Errorf("got %+v", state)
			}
			if !strings.Contains(w.log.String(), `"source":"`+c.source) {
				t.Errorf("the log names no %s:\n%s", c.source, &w.log)
			}
			if strings.Contains(name, "registry") && c.source != "cached copy" && w.auth != "admin:secret-pw" {
				t.Errorf("the registry was asked as %q", w.auth)
			}
			if info, err := os.Stat(w.dir.Bosh("settings.json")); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the cached copy: %v %v", info, err)
			}
		})
	}
}

func (w *world) file(name, content string) {
	w.Helper()
	if err := home.WriteFile(w.dir.Bosh(name), []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
}

// drive puts a config drive with a file into the machine.
func (w *world) drive(name, content string) {
	w.Helper()
	if err := home.WriteFile(filepath.Join(w.dir.Root(), "dev/disk/by-label/config-2", name), []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
}

func TestShortBootstrapSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answers["/latest/user-data"] = settings
	if _, err := w.boot(false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(w.log.String(), "the short bootstrap runs") {
		t.Errorf("the log does not say so:\n%s", &w.log)
	}
	if files, _ := filepath.Glob(w.dir.Bosh("recorded", "*")); len(files) > 0 {
		t.Errorf("recorded %v", files)
	}
}

func TestRootlessRecordsInsteadOfChanging(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answers["/latest/user-data"] = settings
	w.answers["/latest/meta-data/public-keys/0/openssh-key"] = "ssh-rsa AAAA\n"
	for range 2 { // every boot again
		if _, err := w.boot(true); err != nil {
			t.Fatal(err)
		}
	}
	var got platform.Recorded
	if err := home.ReadJSON(w.dir.Bosh("recorded", "update_hostname.json"), &got); err != nil {
		t.Fatal(err)
	}
	if got.Applied || len(got.Changes) != 3 || got.Changes[0].Path != "/etc/hostname" || got.Changes[0].Content != "a-1\n" {
		t.Errorf("got %+v", got)
	}
	if err := home.ReadJSON(w.dir.Bosh("recorded", "authorize_keys.json"), &got); err != nil || got.Changes[0].Content != "ssh-rsa AAAA\n" {
		t.Errorf("got %+v %v", got, err)
	}
	if link, err := os.Readlink(w.dir.Join("sys")); err != nil || link != "data/sys" {
		t.Errorf("sys leads to %q %v", link, err)
	}
}

func TestPrecedenceOfMbus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answers["/latest/user-data"] = strings.Replace(settings, `"password"`, `"mbus":{"urls":["nats://env:1"]},"password"`, 1)
	state, err := w.boot(false)
	if err != nil || state.Mbus.URLs[0] != "nats://env:1" {
		t.Errorf("got %+v %v", state.Mbus, err)
	}
	w.file("update_settings.json", `{"mbus":{"urls":["nats://updated:1"]},"blobstores":[{"provider":"local","options":{"blobstore_path":"/var/vcap/y"}}]}`)
	state, err = w.boot(false)
	if err != nil || state.Mbus.URLs[0] != "nats://updated:1" || state.Blobstore.Options["blobstore_path"] != "/var/vcap/y" {
		t.Errorf("got %+v %+v %v", state.Mbus, state.Blobstore, err)
	}
}

func TestConfiguredSources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.file("agent.json", `{"Infrastructure":{"Settings":{"Sources":[
		{"Type":"ConfigDrive"},{"Type":"File","SettingsPath":"/var/vcap/bosh/env.json"},
		{"Type":"HTTP","URI":"`+w.url+`","UserDataPath":"/ud"}]}}}`)
	sources, err := bootstrap.Sources(bootstrap.SourcesOptions{Home: w.dir, ConfigFile: w.dir.Bosh("agent.json"), Log: zerolog.Nop()})
	if err != nil || len(sources) != 2 {
		t.Fatalf("got %v %v", sources, err)
	}
	if want := "file " + w.dir.Bosh("env.json"); sources[0].Name() != want {
		t.Errorf("got %s, want %s", sources[0].Name(), want)
	}
	w.answers["/ud"] = settings
	if found, err := sources[1].Fetch(context.Background()); err != nil || found.Settings.AgentID != "a-1" {
		t.Errorf("got %+v %v", found, err)
	}
	if _, err := bootstrap.Sources(bootstrap.SourcesOptions{Home: w.dir, Infrastructure: "vsphere"}); err == nil ||
		!strings.Contains(err.Error(), "infrastructure 'vsphere' not found") {
		t.Errorf("got %v", err)
	}
}
