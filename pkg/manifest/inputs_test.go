package manifest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
)

const withVars = `name: ((name))
network: {type: dynamic, vip: ((net.vip))}
resources: {persistent_disk: 1024}
cloud:
  plugin: openstack
  properties:
    openstack: {auth_url: "http://((host)):5000/v3", username: u, api_key: ((key)), tenant: t}
`

// files writes files into a new folder and gives their paths by name.
func files(t *testing.T, texts map[string]string) func(name string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(name string) string { return filepath.Join(dir, name) }
}

func TestInputs(t *testing.T) {
	t.Parallel()
	at := files(t, map[string]string{
		"m.yml":    withVars,
		"vars.yml": "name: from-file\nnet: {vip: 203.0.113.7}\nkey: marker-key\nhost: old\n",
		"more.yml": "host: keystone\n",
		"ops.yml":  "- {type: replace, path: /resources/persistent_disk, value: ((disk))}\n- {type: replace, path: '/env?/bosh/password', value: marker-password}\n",
	})
	m, err := manifest.LoadWith(at("m.yml"), manifest.Inputs{
		Vars: []string{"name=micro", "disk=2048"}, VarsFiles: []string{at("vars.yml"), at("more.yml")}, OpsFiles: []string{at("ops.yml")},
	})
	if err != nil {
		t.Fatal(err)
	}
	connection := m.Cloud.Properties["openstack"].(map[string]any)
	if m.Name != "micro" || m.Network.VIP != "203.0.113.7" || m.Resources.PersistentDisk != 2048 || connection["auth_url"] != "http://keystone:5000/v3" {
		t.Errorf("read as %+v", m)
	}
	public, secrets, err := m.Split()
	if err != nil || strings.Contains(string(public), "marker") || !strings.Contains(string(secrets), "marker-key") || !strings.Contains(string(secrets), "marker-password") {
		t.Errorf("what variables bring in is parted as what is written there: %s (%v)", public, err)
	}
	var tree map[string]any
	if json.Unmarshal(public, &tree) != nil || tree["name"] != "micro" {
		t.Errorf("what travels is %s", public)
	}
}

// Everything wrong is told at once, each where it has to be mended.
func TestWrongInputs(t *testing.T) {
	t.Parallel()
	at := files(t, map[string]string{
		"m.yml": withVars + "envv: {}\n", "vars.yml": "net: {vip: 203.0.113.999}\n", "list.yml": "- a\n", "broken.yml": "a: b: c\n", "empty.yml": "",
		"ops.yml":   "- type: replace\n  path: /resources/persistent_disk\n  value: [much]\n",
		"bad.yml":   "- {type: replace, path: /resources/disk, value: 1}\n",
		"worse.yml": "- {type: move}\n- {type: replace, path: x, value: 1}\n",
		"erb.yml":   strings.Replace(withVars, "1024", "<%= size %>", 1),
		"image":     "\x00\x01\x02",
	})
	for _, c := range []struct {
		name, file string
		in         manifest.Inputs
		code       messages.Code
		want       string
	}{
		{"nothing given", "m.yml", manifest.Inputs{}, messages.CodeManifestInvalid, "m.yml:1:7: ((name)) has no value\nm.yml:2:31: ((net.vip)) has no value\n" +
			"m.yml:7:27: ((host)) has no value\nm.yml:7:76: ((key)) has no value\nm.yml:8:1: envv is not known; did you mean env?"},
		{"some given", "m.yml", manifest.Inputs{Vars: []string{"name=a.b", "key=k"}, VarsFiles: []string{at("vars.yml")}, OpsFiles: []string{at("ops.yml")}}, messages.CodeManifestInvalid,
			"m.yml:1:7: name: the deployment name \"a.b\" is not usable: use 1 to 63 letters, digits, '-' and '_', beginning with a letter or digit\n" +
				"m.yml:2:31: network.vip must be an IP address\nm.yml:7:27: ((host)) has no value\nm.yml:8:1: envv is not known; did you mean env?\n" +
				"ops.yml:3:10: resources.persistent_disk must be a whole number, not a list"},
		{"an operation that fails", "m.yml", manifest.Inputs{OpsFiles: []string{at("bad.yml")}}, messages.CodeManifestInvalid,
			"bad.yml:1:25: cannot replace /resources/disk: /resources has no disk (there are: persistent_disk)"},
		{"no operations", "m.yml", manifest.Inputs{Vars: []string{"name=m", "key=k", "host=h", "net={vip: 10.0.0.1}"}, OpsFiles: []string{at("worse.yml")}}, messages.CodeManifestInvalid,
			"m.yml:8:1: envv is not known; did you mean env?\nworse.yml:1:3: an operation needs type and path\nworse.yml:2:25: the path x is not understood: a path begins with /"},
		{"vars are a list", "m.yml", manifest.Inputs{Vars: []string{"name=m", "key=k", "host=h", "net={vip: 10.0.0.1}"}, VarsFiles: []string{at("list.yml")}}, messages.CodeManifestInvalid,
			"m.yml:8:1: envv is not known; did you mean env?\nlist.yml:1:1: a vars file is a map of names to values"},
		{"ERB and variables", "erb.yml", manifest.Inputs{Vars: []string{"net={vip: 10.0.0.1}"}}, messages.CodeManifestInvalid,
			"erb.yml:1:7: ((name)) has no value\nerb.yml:3:30: ERB (<% %>) is not run in a manifest\nerb.yml:7:27: ((host)) has no value\nerb.yml:7:76: ((key)) has no value"},
		{"no YAML", "m.yml", manifest.Inputs{VarsFiles: []string{at("broken.yml")}}, messages.CodeManifestInvalid, "Cannot load YAML file at `broken.yml': line 1: mapping values are not allowed in this context"},
		{"empty", "m.yml", manifest.Inputs{VarsFiles: []string{at("empty.yml")}}, messages.CodeManifestInvalid, "empty.yml is empty"},
		{"binary", "m.yml", manifest.Inputs{OpsFiles: []string{at("image")}}, messages.CodeManifestInvalid, "Cannot load YAML file at `image': it is no text"},
		{"missing", "m.yml", manifest.Inputs{OpsFiles: []string{at("nowhere")}}, messages.CodeManifestMissing, "Cannot find file `nowhere'"},
		{"a folder", "m.yml", manifest.Inputs{OpsFiles: []string{at("")}}, messages.CodeManifestInvalid, "Cannot load YAML file at `': it is a directory"},
		{"no name", "m.yml", manifest.Inputs{Vars: []string{"=x"}}, messages.CodeUsage, "the variable ... is not in the form NAME=VALUE"},
		{"no value", "m.yml", manifest.Inputs{Vars: []string{"marker"}}, messages.CodeUsage, "the variable ... is not in the form NAME=VALUE"},
		{"a value that is no YAML", "m.yml", manifest.Inputs{Vars: []string{"key=@marker"}}, messages.CodeUsage, "the value of the variable key is no YAML"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := manifest.LoadWith(at(c.file), c.in)
			if messages.CodeOf(err) != c.code || messages.AsError(err).Hint == "" {
				t.Fatalf("got %#v", err)
			}
			if diff := cmp.Diff(c.want, strings.NewReplacer(at("")+"/", "", at(""), "").Replace(err.Error())); diff != "" {
				t.Errorf("%s\n%v", diff, err)
			}
		})
	}
}

func TestProblemsOf(t *testing.T) {
	t.Parallel()
	_, err := manifest.Parse("m.yml", []byte(sample+"envv: 1\nenvw: 2\n"))
	want := []manifest.Problem{
		{File: "m.yml", Line: 29, Column: 1, Text: "envv is not known; did you mean env?"},
		{File: "m.yml", Line: 30, Column: 1, Text: "envw is not known; did you mean env?"},
	}
	if diff := cmp.Diff(want, manifest.ProblemsOf(err)); diff != "" {
		t.Error(diff)
	}
	for text, line := range map[string]int{
		"a: [\n": 2, "a: 1\nb:\n  c: {x: 1\n d: 2\n": 3, "a: x: 1\n": 1, "a: 1\nb: @x\n": 2, "- x\nb: 1\n": 2, "a: 1\nb: \"x\nc: 1\n": 2,
	} {
		_, err = manifest.Parse("m.yml", []byte(text))
		if p := manifest.ProblemsOf(err); len(p) != 1 || p[0].Line != line || p[0].Column != 0 {
			t.Errorf("%q cannot be read, on line %d: %v", text, line, p)
		}
	}
	if p := manifest.ProblemsOf(os.ErrNotExist); p != nil {
		t.Errorf("no manifest's error: %v", p)
	}
}
