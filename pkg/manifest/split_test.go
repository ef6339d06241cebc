package manifest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
)

func split(t interface{ Fatal(...any) }, m *manifest.Manifest) (public, secrets json.RawMessage) {
	public, secrets, err := m.Split()
	if err != nil {
		t.Fatal(err)
	}
	return public, secrets
}

func TestSplitHides(t *testing.T) {
	t.Parallel()
	// Everything marked is a secret, by its place, its name or its looks.
	text := strings.NewReplacer(
		"$6$salt$hash", "marker1", "crypt_key: K", "marker2: marker3", "username: u", "username: marker4", "api_key: p", "api_key: marker5",
		"private_key: mykey.pem", "private_key: marker6\n      marker7: marker8", "http://admin:admin@localhost:25889", "http://a:marker9@localhost",
		"user: admin", "user: marker10", "b00tstrap", "marker11", "provider: local", "provider: marker12", "blobstore_path:", "marker13:",
		"properties: {director: {name: other}}", "properties: {marker14: {marker15: marker16}}", "nats: {address: 10.0.0.5}", "nats: {marker17: 1}",
		"disk_format: raw", "disk_format: raw, password: marker18, tokens: [marker19], urls: ['http://u:marker20@h/']",
		"image_id: abc", "image_id: abc, deep: [{secret: marker21}, http://ok/], user_data: marker22, key: '-----BEGIN RSA marker23'",
		"ssl_verify_peer: false", "ssl_verify_peer: false, proxy: marker24",
	).Replace(full)
	for n := range 24 {
		if mark := fmt.Sprintf("marker%d", n+1); !strings.Contains(text, mark) {
			t.Fatalf("%s is not in the manifest", mark)
		}
	}
	m := parse(t, text)
	public, secrets := split(t, m)
	if i := strings.Index(string(public), "marker"); i >= 0 {
		t.Errorf("a secret is in the open: %s", public[max(i-40, 0):])
	}
	for _, plain := range []string{
		"micro-os", "/srv/micro", "203.0.113.10", "http://keystone:5000/v2.0", "m1.small", "net_id", "16384", `"tenant":"t"`, "publicURL", "pool.ntp.org",
		`"disk_format":"raw"`, `"ssl_verify_peer":false`, `"default_security_groups":["extra"]`, `"region":null`, `"image_id":"abc"`,
	} {
		if !strings.Contains(string(public), plain) {
			t.Errorf("%s is hidden for no reason: %s", plain, public)
		}
	}
	back, err := manifest.Join(public, secrets)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, back, cmp.AllowUnexported(manifest.Manifest{})); diff != "" {
		t.Errorf("came back changed:\n%s", diff)
	}
}

func TestAddressWithCredentialsIsSecret(t *testing.T) {
	t.Parallel()
	m := parse(t, replace(t, sample, "http://keystone:5000/v3", "http://u:marker-pass@keystone:5000/v3"))
	public, _ := split(t, m)
	if strings.Contains(string(public), "marker") {
		t.Errorf("a secret is in the open: %s", public)
	}
}

// values draws any value that a manifest can hold.
func values(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Int().AsAny(), rapid.Bool().AsAny(), rapid.StringMatching(`[a-z0-9 .:/@<&é-]{0,8}`).AsAny(),
		rapid.Float64().Filter(func(f float64) bool { return f < 1e15 && f > -1e15 }).AsAny(), rapid.Map(rapid.IntRange(-9, 9), func(i int) any { return float64(i) }),
	}
	if depth > 0 {
		kinds = append(kinds,
			rapid.Map(rapid.SliceOfN(values(depth-1), 0, 3), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(rapid.StringMatching(`[a-z_]{1,6}|password|"|\.`), values(depth-1), 0, 3), func(m map[string]any) any { return m }))
	}
	return rapid.OneOf(kinds...)
}

func TestJoinUndoesSplit(t *testing.T) {
	t.Parallel()
	free := rapid.MapOfN(rapid.StringMatching(`[a-z_]{1,6}`), values(3), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		section := func(name string) map[string]any { return free.Draw(t, name) }
		openstack := section("openstack")
		for key, v := range map[string]any{"auth_url": "http://k/", "username": "u", "api_key": "p"} {
			openstack[key] = v
		}
		tree := map[string]any{
			"name": "x", "env": section("env"), "network": map[string]any{"cloud_properties": section("network")},
			"resources":  map[string]any{"cloud_properties": section("resources")},
			"apply_spec": map[string]any{"properties": section("spec"), "agent": map[string]any{"nats": section("nats")}},
			"cloud": map[string]any{"plugin": "openstack", "properties": map[string]any{
				"openstack": openstack, "stemcell": section("stemcell"), "vsphere": section("vsphere"),
				"agent": map[string]any{"blobstore": map[string]any{"options": section("options")}},
			}},
		}
		text, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		m, err := manifest.Parse("m", text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		public, secrets := split(t, m)
		back, err := manifest.Join(public, secrets)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, back, cmp.AllowUnexported(manifest.Manifest{})); diff != "" {
			t.Fatalf("came back changed:\n%s", diff)
		}
		if m.ConfigSHA1() != back.ConfigSHA1() {
			t.Fatal("came back with another fingerprint")
		}
	})
}

func TestJoinRefuses(t *testing.T) {
	t.Parallel()
	good := `{"name":"x","cloud":{"plugin":"openstack"}}`
	for _, c := range [][2]string{
		{"", ""}, {"null", `{"a":1}`}, {"[]", ""}, {"{}", ""}, {good + "{}", ""}, {good, "[]"}, {good, "{"}, {`{"cloud":{"plugin":7}`, ""}, {`{"cloud":[]}`, ""},
	} {
		if m, err := manifest.Join(json.RawMessage(c[0]), json.RawMessage(c[1])); messages.CodeOf(err) != messages.CodeManifestInvalid {
			t.Errorf("%q + %q: %+v, %v", c[0], c[1], m, err)
		}
	}
	for _, secrets := range []string{"", "null", "{}", `{"network":7,"resources":[],"env":"x","logging":{"level":[1]}}`} {
		if _, err := manifest.Join(json.RawMessage(good), json.RawMessage(secrets)); err != nil {
			t.Errorf("%q: %v", secrets, err)
		}
	}
}
