package manifest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
)

// full has every key of the original, and the newer ones.
const full = `
name: micro-os
dir: /srv/micro
logging: {level: info, file: /srv/micro/bosh_micro_deploy.log}
network:
  type: manual
  vip: 203.0.113.10
  ip: 10.0.0.5
  netmask: 255.255.255.0
  gateway: 10.0.0.1
  dns: [10.0.0.2]
  cloud_properties: {net_id: 11111111-2222-3333-4444-555555555555, security_groups: [bosh]}
env: {bosh: {password: $6$salt$hash, credentials: {crypt_key: K, sign_key: S}}}
resources:
  persistent_disk: 16384
  persistent_disk_cloud_properties: {type: ssd}
  cloud_properties: {instance_type: m1.small, availability_zone: nova, key_name: mykey, image_id: abc}
cloud:
  plugin: openstack
  properties:
    openstack:
      auth_url: http://keystone:5000/v2.0
      username: u
      api_key: p
      tenant: t
      region: null
      endpoint_type: publicURL
      state_timeout: 300
      stemcell_public_visibility: false
      connection_options: {ssl_verify_peer: false}
      default_key_name: mykey
      default_security_groups: [extra]
      private_key: mykey.pem
      ssh_user: vcap
      ssh_port: 22
      ssh_wait: 60
    registry: {endpoint: "http://admin:admin@localhost:25889", user: admin, password: admin}
    stemcell: {disk_format: raw}
    agent:
      ntp: [pool.ntp.org]
      blobstore: {provider: local, options: {blobstore_path: /var/vcap/micro_bosh/data/cache}}
      mbus: https://vcap:b00tstrap@0.0.0.0:6868
apply_spec:
  agent: {blobstore: {address: 10.0.0.5}, nats: {address: 10.0.0.5}}
  properties: {director: {name: other}}
`

func parse(t *testing.T, text string) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Parse("m.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func replace(t *testing.T, text, from, to string) string {
	t.Helper()
	if !strings.Contains(text, from) {
		t.Fatalf("%q is not there to be replaced", from)
	}
	return strings.Replace(text, from, to, 1)
}

func TestEveryKey(t *testing.T) {
	t.Parallel()
	m := parse(t, full)
	if m.Logging.Level != "INFO" || m.Dir != "/srv/micro" || m.Resources.DiskProperties["type"] != "ssd" {
		t.Errorf("read as %+v", m)
	}
	groups := m.Cloud.Properties["openstack"].(map[string]any)["default_security_groups"]
	if diff := cmp.Diff([]any{"extra"}, groups); diff != "" {
		t.Error(diff)
	}
	want := map[string]messages.Network{
		"bosh": {
			Type: "manual", IP: "10.0.0.5", Netmask: "255.255.255.0", Gateway: "10.0.0.1", DNS: []string{"10.0.0.2"}, Default: []string{"dns", "gateway"},
			CloudProperties: []byte(`{"net_id":"11111111-2222-3333-4444-555555555555","security_groups":["bosh"]}`),
		},
		"vip": {Type: "vip", IP: "203.0.113.10", CloudProperties: []byte(`{}`)},
	}
	if diff := cmp.Diff(want, m.Networks()); diff != "" {
		t.Errorf("networks:\n%s", diff)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	blobstore := m{"provider": "local", "options": m{"blobstore_path": "/var/vcap/micro_bosh/data/cache"}}
	registry := func(port string) m {
		return m{"endpoint": "http://admin:admin@localhost:" + port, "user": "admin", "password": "admin"}
	}
	agent := m{"ntp": []any{}, "blobstore": blobstore}
	for _, c := range []struct {
		plugin, section string
		network         manifest.Network
		resources       m
		properties      m
	}{
		{
			"openstack", "openstack: {auth_url: 'http://k/v3', username: u, api_key: p}",
			manifest.Network{Type: "dynamic", CloudProperties: m{}}, m{"instance_type": "m1.small"},
			m{
				"openstack": m{
					"auth_url": "http://k/v3", "username": "u", "api_key": "p", "endpoint_type": "publicURL",
					"default_security_groups": []any{}, "ssh_user": "vcap", "ssh_port": 22, "ssh_wait": 60,
				},
				"registry": registry("25889"), "stemcell": m{}, "agent": agent,
			},
		},
		{
			"aws", "aws: {access_key_id: a, secret_access_key: s, region: r, max_retries: 5, eucalyptus: yes}",
			manifest.Network{Type: "dynamic", CloudProperties: m{}}, m{"instance_type": "m1.small"},
			m{
				"aws":      m{"access_key_id": "a", "secret_access_key": "s", "region": "r", "max_retries": 5, "eucalyptus": true, "default_security_groups": []any{}, "ssh_user": "vcap", "ssh_port": 22, "ssh_wait": 60},
				"registry": registry("25888"), "stemcell": m{"kernel_id": nil, "disk": 4096}, "agent": agent,
			},
		},
		{
			"vsphere", "vcenters: [{host: h, user: u, password: p}]",
			manifest.Network{Type: "manual", IP: "10.0.0.5", CloudProperties: m{"name": "n"}}, m{"ram": 1024, "disk": 4096, "cpu": 1},
			m{"vcenters": []any{m{"host": "h", "user": "u", "password": "p"}}, "stemcell": m{}, "agent": agent},
		},
		{
			"vcloud", "vcds: [{url: h, user: u, password: p}]",
			manifest.Network{Type: "manual", IP: "10.0.0.5", CloudProperties: m{"name": "n"}}, m{"ram": 1024, "disk": 4096, "cpu": 1},
			m{"vcds": []any{m{"url": "h", "user": "u", "password": "p"}}, "stemcell": m{}, "agent": agent},
		},
	} {
		t.Run(c.plugin, func(t *testing.T) {
			t.Parallel()
			network := "{}"
			if c.network.IP != "" {
				network = "{ip: 10.0.0.5, cloud_properties: {name: n}}"
			}
			got := parse(t, "name: x\nnetwork: "+network+"\ncloud:\n  plugin: "+c.plugin+"\n  properties:\n    "+c.section+"\n    registry:\n")
			if c.properties["registry"] == nil {
				c.properties["registry"] = nil
			}
			if diff := cmp.Diff(c.network, got.Network); diff != "" {
				t.Errorf("network:\n%s", diff)
			}
			if diff := cmp.Diff(manifest.Resources{PersistentDisk: 4096, CloudProperties: c.resources}, got.Resources); diff != "" {
				t.Errorf("resources:\n%s", diff)
			}
			if diff := cmp.Diff(c.properties, got.Cloud.Properties); diff != "" {
				t.Errorf("properties:\n%s", diff)
			}
			if diff := cmp.Diff(m{"bosh": m{"password": nil}}, got.Env); diff != "" {
				t.Errorf("env:\n%s", diff)
			}
		})
	}
}

// What YAML 1.1 and Ruby made of a manifest of 2014.
func TestRubyEraValues(t *testing.T) {
	t.Parallel()
	text := replace(t, sample, "  properties: {hm: {password: marker-hm}}", `  properties:
    defaults: &defaults {a: 1, b: yes}
    merged:
      <<: *defaults
      b: 2
    several: {<<: [*defaults, {c: 3}]}
    again: *defaults
    quoted: "yes"
    tagged: ! 'no'
    off: OFF
    octal: 010
    date: 2014-06-01
    float: 1.50
    time: 12:30:45`)
	text = replace(t, text, "tenant: t", "tenant: 010\n      region: 1.10")
	m := parse(t, text)
	want := map[string]any{
		"defaults": map[string]any{"a": 1, "b": true}, "merged": map[string]any{"a": 1, "b": 2}, "again": map[string]any{"a": 1, "b": true},
		"several": map[string]any{"a": 1, "b": true, "c": 3}, "quoted": "yes", "tagged": "no", "off": false,
		"octal": 8, "date": "2014-06-01", "float": 1.5, "time": "12:30:45",
	}
	if diff := cmp.Diff(want, m.ApplySpec["properties"]); diff != "" {
		t.Error(diff)
	}
	os := m.Cloud.Properties["openstack"].(map[string]any)
	if os["tenant"] != "010" || os["region"] != "1.10" {
		t.Errorf("texts that look like numbers: %v %v", os["tenant"], os["region"])
	}
}

func TestWrongManifests(t *testing.T) {
	t.Parallel()
	openstack := "      auth_url: http://keystone:5000/v3\n      username: marker-user\n      api_key: marker-password\n"
	for _, c := range []struct {
		name, text string
		want       string // the whole message
	}{
		{"types", replace(t, sample, "dns: [10.0.0.2]", "dns: 10.0.0.2\n  netmask: {a: marker}"), "m.yml:7:8: network.dns must be a list of strings, not a string\nm.yml:8:12: network.netmask must be a string, not a map"},
		{"types in lists", replace(t, sample, "dns: [10.0.0.2]", "dns: [true, [x]]"), "m.yml:7:9: network.dns[0] must be a string, not true or false\nm.yml:7:15: network.dns[1] must be a string, not a list"},
		{"addresses", replace(t, sample, "203.0.113.10", "203.0.113.999"), "m.yml:6:8: network.vip must be an IP address"},
		{"no auth", replace(t, sample, openstack, ""), "m.yml:17:5: cloud.properties.openstack.auth_url is needed\nm.yml:17:5: cloud.properties.openstack needs either username and api_key, or application_credential_id and application_credential_secret"},
		{"a cloud of clouds.yaml", replace(t, sample, openstack, "      cloud: mine\n"), ""},
		{"no URL", replace(t, sample, "http://keystone:5000/v3", "keystone"), "m.yml:18:17: cloud.properties.openstack.auth_url must be an http or https URL"},
		{"no cloud", sample[:strings.Index(sample, "cloud:\n  plugin")], "m.yml:1:1: No cloud properties defined"},
		{"no section", "name: x\nnetwork: {}\ncloud: {plugin: openstack}\n", "m.yml:3:1: cloud.properties.openstack is needed with plugin openstack"},
		{"cloud is text", "name: x\nnetwork: {}\ncloud: openstack\n", "m.yml:3:8: cloud must be a map, not a string"},
		{"no name", replace(t, sample, "name: micro-os", "name:"), "m.yml:2:1: name is not defined in deployment manifest"},
		{"level", replace(t, sample, "level: DEBUG", "level: LOUD"), "m.yml:3:18: logging.level must be DEBUG, INFO, WARN, ERROR or FATAL"},
		{"manual", replace(t, full, "  ip: 10.0.0.5\n", ""), "m.yml:5:1: network.ip is needed with type manual"},
		{"manual without net", replace(t, full, "net_id: 1", "other_id: 1"), "m.yml:12:3: Manual network must have net_id"},
		{"tag", replace(t, sample, "level: DEBUG", "level: !ruby/object:Logger {}"), "m.yml:3:18: the tag !ruby/object:Logger is not understood\nm.yml:3:18: logging.level must be a string, not a map"},
		{"binary", replace(t, sample, "level: DEBUG", "level: !!binary aGk="), "m.yml:3:18: the tag !!binary is not understood"},
		{"infinite", replace(t, sample, "marker-hm", ".inf"), "m.yml:28:31: apply_spec.properties.hm.password is no number that a message can carry; quote it if it is none"},
		{"large", replace(t, sample, "16384", "99999999999999999999"), "m.yml:12:20: resources.persistent_disk must be a whole number, not 99999999999999999999, which is too large"},
		{"a fraction", replace(t, sample, "16384", "1.5"), "m.yml:12:20: resources.persistent_disk must be a whole number, not 1.5, a fraction"},
		{"written as a fraction", replace(t, sample, "16384", "2.0"), "m.yml:12:20: resources.persistent_disk must be a whole number, not 2.0, which is written as a fraction"},
		{"escapes", replace(t, sample, "env:", "\"a\\e[31m\\n\": 1\nenv:"), "m.yml:9:1: a?[31m? is not known"},
		{"list key", replace(t, sample, "env:", "? [a]\n: 1\nenv:"), "m.yml:9:3: a key below the root is no plain word"},
		{"merge of text", replace(t, sample, "env:", "<<: text\nenv:"), "m.yml:9:5: << below the root needs a map"},
		{"unknown in a merge", replace(t, sample, "env:", "<<: {nam: 1}\nenv:"), "m.yml:9:6: nam is not known; did you mean name?"},
		{"holds itself", replace(t, sample, "marker-hm", "&a [*a]"), "m.yml:28:31: values are nested more than 64 deep"},
		{"documents", sample + "---\na: 1\n", "Cannot load YAML file at `m.yml': it holds more than one document"},
		{"ERB", replace(t, sample, "16384", "<%= size %>\n  what: <% x %>\n  # <%= no %>") + "env: {}\n", "m.yml:12:20: ERB (<% %>) is not run in a manifest\nm.yml:13:9: ERB (<% %>) is not run in a manifest\nm.yml:31:1: env is there twice"},
		{"ERB that is no YAML", "name: x\n<% if true %>\n a: [\n<% end %>\n", "m.yml:2:1: ERB (<% %>) is not run in a manifest\nm.yml:4:1: ERB (<% %>) is not run in a manifest"},
		{"key in the text", replace(t, sample, "tenant: t", "private_key: \"marker\\nnot a path\""), ""},
		{"aws", "name: x\nnetwork: {}\ncloud:\n  plugin: aws\n  properties:\n    aws: {ec2_private_key: k}\n", "m.yml:6:5: cloud.properties.aws needs access_key_id and secret_access_key\nm.yml:6:5: cloud.properties.aws needs region or ec2_endpoint"},
		{"no aws", "name: x\nnetwork: {}\ncloud: {plugin: aws}\n", "m.yml:3:1: cloud.properties.aws is needed with plugin aws"},
		{"vsphere", "name: x\nnetwork: {}\ncloud:\n  plugin: vsphere\n  properties:\n    vcenters: [{host: h}]\n", "m.yml:2:1: network.ip is needed with plugin vsphere: nothing else tells where the VM answers\n" +
			"m.yml:2:1: network.cloud_properties.name is needed with plugin vsphere: the network that the VM is in\n" +
			"m.yml:6:16: cloud.properties.vcenters[0] needs user\nm.yml:6:16: cloud.properties.vcenters[0] needs password"},
		{"vcloud", "name: x\nnetwork: {ip: 10.0.0.5, cloud_properties: {name: n}}\ncloud: {plugin: vcloud, properties: {vcds: []}}\n", "m.yml:3:38: cloud.properties.vcds is needed with plugin vcloud"},
		{"a newer vsphere", "name: x\nnetwork: {ip: 10.0.0.5, cloud_properties: {name: n}}\ncloud: {plugin: vsphere, properties: {vsphere: {host: h}}}\n", ""},
		{"create-env", "name: x\nresource_pools: []\nnetworks: []\n", "m.yml is a manifest for `bosh create-env` and no manifest of a micro BOSH"},
		{"director", "name: x\nreleases: []\nstemcells: []\ninstance_groups: []\nupdate: {}\n", "m.yml is a Director's deployment manifest and no manifest of a micro BOSH"},
		{"cloud config", "azs: []\nvm_types: []\n", "m.yml is a cloud config and no manifest of a micro BOSH"},
		{"state file", original, "m.yml is the state file bosh-deployments.yml and no manifest of a micro BOSH"},
		{"stemcell", "name: s\nbosh_protocol: 1\n", "m.yml is a stemcell's stemcell.MF and no manifest of a micro BOSH"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := manifest.Parse("m.yml", []byte(c.text))
			if c.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if messages.CodeOf(err) != messages.CodeManifestInvalid || messages.AsError(err).Hint == "" {
				t.Fatalf("got %#v", err)
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestManifestBombs(t *testing.T) {
	t.Parallel()
	laughs := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for _, pair := range []string{"ba", "cb", "dc", "ed", "fe", "gf", "hg"} {
		laughs += pair[:1] + ": &" + pair[:1] + " [" + strings.Repeat("*"+pair[1:]+", ", 9) + "*" + pair[1:] + "]\n"
	}
	for name, text := range map[string]string{
		"nested": replace(t, sample, "marker-hm", strings.Repeat("[", 5000)+strings.Repeat("]", 5000)),
		"wide":   replace(t, sample, "{hm: {password: marker-hm}}", "\n    "+strings.ReplaceAll(strings.TrimSpace(laughs), "\n", "\n    ")),
		"merge":  replace(t, sample, "env:", "<<: &a [*a, *a, *a]\nenv:"),
		"path":   replace(t, sample, "{hm: {password: marker-hm}}", "{"+strings.Repeat("k", 400_000)+": ["+strings.Repeat("1,", 150_000)+"1]}"),
		"key":    replace(t, sample, "env:", strings.Repeat("k", 500_000)+": 1\nenv:"),
	} {
		_, err := manifest.Parse("m.yml", []byte(text))
		if messages.CodeOf(err) != messages.CodeManifestInvalid || len(err.Error()) > 10_000 {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}

func TestPrivateKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "micro_bosh.yml")
	if err := os.WriteFile(path, []byte(replace(t, full, "level: info", "level: LOUD")), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := manifest.Load(path)
	want := path + ":4:18: logging.level must be DEBUG, INFO, WARN, ERROR or FATAL\n" + path + ":33:20: properties.openstack.private_key 'mykey.pem' does not exist"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := errors.Join(os.WriteFile(path, []byte(full), 0o600), os.WriteFile(filepath.Join(dir, "mykey.pem"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.Load(path); err != nil {
		t.Errorf("a key beside the manifest: %v", err)
	}
	if err := os.WriteFile(path, []byte(replace(t, full, "mykey.pem", "\"marker\\nno path\"")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.Load(path); err == nil || strings.Contains(err.Error(), "marker") {
		t.Errorf("what may be the key itself: %v", err)
	}
}
