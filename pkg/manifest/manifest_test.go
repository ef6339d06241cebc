package manifest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
)

const sample = `---
name: micro-os
logging: {level: DEBUG}
network:
  type: dynamic
  vip: 203.0.113.10
  dns: [10.0.0.2]
  cloud_properties: {net_id: 11111111-2222-3333-4444-555555555555}
env:
  bosh: {password: $6$salt$marker-hash}
resources:
  persistent_disk: 16384
  cloud_properties: {instance_type: m1.medium}
cloud:
  plugin: openstack
  properties:
    openstack:
      auth_url: http://keystone:5000/v3
      username: marker-user
      api_key: marker-password
      tenant: t
      default_security_groups: [bosh]
      connection_options: {ssl_verify_peer: no}
      strange_key: marker-strange
    registry: {endpoint: "http://admin:marker-registry@localhost:25889"}
    agent: {mbus: "nats://u:marker-mbus@host:4222"}
apply_spec:
  properties: {hm: {password: marker-hm}}
`

func TestParse(t *testing.T) {
	t.Parallel()
	m, err := manifest.Parse("micro_bosh.yml", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "micro-os" || m.Resources.PersistentDisk != 16384 || !m.Resources.HasPersistentDisk || m.Cloud.Plugin != "openstack" {
		t.Errorf("read as %+v", m)
	}
	os := m.Cloud.Properties["openstack"].(map[string]any)
	if os["endpoint_type"] != "publicURL" || os["ssh_port"] != 22 || os["connection_options"].(map[string]any)["ssl_verify_peer"] != false {
		t.Errorf("defaults missing in %v", os)
	}
	networks := m.Networks()
	if networks["vip"].IP != "203.0.113.10" || networks["bosh"].Type != "dynamic" || !strings.Contains(string(networks["bosh"].CloudProperties), "net_id") {
		t.Errorf("networks %+v", networks)
	}
}

func TestFingerprintIgnoresWhere(t *testing.T) {
	t.Parallel()
	base, err := manifest.Parse("m", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	moved, err := manifest.Parse("m", []byte(strings.Replace(sample, "logging: {level: DEBUG}", "logging: {level: DEBUG, file: /tmp/x}\ndir: /srv", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if base.ConfigSHA1() != moved.ConfigSHA1() {
		t.Error("where a deploy runs changes its fingerprint")
	}
	if base.OriginalConfigSHA1("/a", "/a/log") == base.OriginalConfigSHA1("/b", "/b/log") {
		t.Error("the original's fingerprint must know where it ran")
	}
	changed, err := manifest.Parse("m", []byte(strings.Replace(sample, "16384", "16385", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if base.ConfigSHA1() == changed.ConfigSHA1() {
		t.Error("a change keeps the fingerprint")
	}
}

func TestBadManifests(t *testing.T) {
	t.Parallel()
	cut := func(from, to string) string {
		if !strings.Contains(sample, from) {
			t.Fatalf("the sample has no %q", from)
		}
		return strings.Replace(sample, from, to, 1)
	}
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"unknown key", cut("logging: {level", "loging: {level"), []string{"m.yml:3:1: loging is not known; did you mean logging?"}},
		{"unknown plugin", cut("plugin: openstack", "plugin: nimbus"), []string{"Could not find Provider Plugin: nimbus"}},
		{"no plugin", cut("plugin: openstack", "plugin:"), []string{"No cloud plugin defined"}},
		{"no network", cut("network:", "netwark:"), []string{"netwark is not known", "network is not defined in deployment manifest"}},
		{"several at once", cut("persistent_disk: 16384", "persistent_disk: lots\n  size: 1"), []string{"m.yml:12:20: resources.persistent_disk must be a whole number", "resources.size is not known"}},
		{"twice", cut("name: micro-os", "name: micro-os\nname: other"), []string{"m.yml:3:1: name is there twice"}},
		{"bad name", cut("name: micro-os", "name: a.b*"), []string{"the deployment name"}},
		{"no credentials", cut("api_key: marker-password", "region: r"), []string{"needs either username and api_key"}},
		{"manual without ip", cut("type: dynamic", "type: manual"), []string{"network.ip is needed"}},
		{"erb", cut("name: micro-os", "name: <%= 1 %>"), []string{"m.yml:2:7: ERB (<% %>) is not run"}},
		{"list", "- a\n", []string{"expected Hash at the root"}},
		{"empty", "", []string{"expected Hash at the root"}},
		{"no yaml", "a: [", []string{"Cannot load YAML file"}},
		{"binary", "\x00\x01\x02", []string{"it is no text"}},
		{"create-env", "cloud_provider: {}\nname: x\n", []string{"no manifest of a micro BOSH"}},
		{"director", "stemcells: []\nreleases: []\nname: x\n", []string{"no manifest of a micro BOSH"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := manifest.Parse("m.yml", []byte(c.text))
			if messages.CodeOf(err) != messages.CodeManifestInvalid {
				t.Fatalf("got %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %q", want, err)
				}
			}
			if strings.Contains(err.Error(), "marker") {
				t.Errorf("a secret is in the error: %v", err)
			}
		})
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	if _, err := manifest.Load(filepath.Join(t.TempDir(), "no.yml")); messages.CodeOf(err) != messages.CodeManifestMissing {
		t.Errorf("missing: %v", err)
	}
	if _, err := manifest.Load(t.TempDir()); messages.CodeOf(err) != messages.CodeManifestInvalid {
		t.Errorf("directory: %v", err)
	}
	huge := filepath.Join(t.TempDir(), "huge.yml")
	if err := os.WriteFile(huge, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.Load(huge); messages.CodeOf(err) != messages.CodeManifestInvalid {
		t.Errorf("huge: %v", err)
	}
	key := filepath.Join(t.TempDir(), "m.yml")
	if err := os.WriteFile(key, []byte(strings.Replace(sample, "tenant: t", "tenant: t\n      private_key: /no/such/key", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.Load(key); err == nil || !strings.Contains(err.Error(), "private_key '/no/such/key' does not exist") {
		t.Errorf("private key: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{sample, full, "a: &a [*a]", "<<: *x", "? [a]\n: !!binary x\n<%= 1 %>", "name: x\n---\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := manifest.Parse("m", data)
		if err != nil {
			if messages.CodeOf(err) != messages.CodeManifestInvalid {
				t.Errorf("code %s: %v", messages.CodeOf(err), err)
			}
			return
		}
		public, secrets, err := m.Split()
		if err != nil {
			t.Fatalf("a manifest that cannot be split: %v", err)
		}
		back, err := manifest.Join(public, secrets)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, back, cmp.AllowUnexported(manifest.Manifest{})); diff != "" {
			t.Errorf("came back changed:\n%s", diff)
		}
	})
}
