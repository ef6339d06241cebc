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

const original = `---
instances:
- :id: 3
  :name: micro-os
  :uuid: bm-0d2f0c9e
  :stemcell_cid: 3f1e
  :stemcell_sha1: 9f86
  :stemcell_name: micro
  :config_sha1: 7e83
  :vm_cid: 6b2c
  :disk_cid: 
disks: []
registry_instances:
- :id: 1
  :instance_id: vm-1
  :settings: '{}'
`

func TestDeploymentsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), manifest.DeploymentsFile)
	if err := os.WriteFile(path, []byte(original), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := manifest.ReadDeployments(path)
	if err != nil {
		t.Fatal(err)
	}
	want := manifest.Instance{ID: 3, Name: "micro-os", UUID: "bm-0d2f0c9e", StemcellCID: "3f1e", StemcellSHA1: "9f86", StemcellName: "micro", ConfigSHA1: "7e83", VMCID: "6b2c"}
	if got, ok := d.Find("micro-os"); !ok || got != want {
		t.Errorf("read %+v", got)
	}
	want.DiskCID = "51aa"
	d.Put(want)
	d.Put(manifest.Instance{Name: "second", VMCID: "12345"})
	if err := d.Write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{":vm_cid: 6b2c", ":disk_cid: 51aa", "registry_instances:", ":id: 4", `:vm_cid: "12345"`} {
		if !strings.Contains(string(text), line) {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
	again, err := manifest.ReadDeployments(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.Instances, again.Instances); diff != "" {
		t.Errorf("came back changed:\n%s", diff)
	}
	if d, err := manifest.ReadDeployments(filepath.Join(t.TempDir(), "none")); err != nil || len(d.Instances) != 0 {
		t.Errorf("a missing file: %v %v", d, err)
	}
}

func TestBadStateFiles(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"list": "[]", "row": "instances: [1]", "no YAML": "a: [", "id": "instances:\n- :name: a\n  :id: x\n", "text": "instances: none",
		"map": "instances: {}", "no name": "instances:\n- :id: 1\n", "same name": "instances:\n- :name: a\n- name: a\n",
		"column twice": "instances:\n- :name: a\n  name: b\n", "key twice": "instances: []\n:instances: []\n", "value": "instances:\n- :name: [a]\n",
		"documents": "instances: []\n---\ninstances: []\n", "alias": "x: &x {:name: a}\ninstances: [*x]\n", "text at the root": "x",
	} {
		path := filepath.Join(t.TempDir(), "s.yml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if d, err := manifest.ReadDeployments(path); messages.CodeOf(err) != messages.CodeStateInvalid || messages.AsError(err).Hint == "" {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
	if _, err := manifest.ReadDeployments(t.TempDir()); messages.CodeOf(err) != messages.CodeStateInvalid {
		t.Errorf("a directory: %v", err)
	}
	huge := filepath.Join(t.TempDir(), "huge.yml")
	if err := os.WriteFile(huge, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.ReadDeployments(huge); messages.CodeOf(err) != messages.CodeStateInvalid {
		t.Errorf("a huge file: %v", err)
	}
	for _, empty := range []string{"", "---\n", "instances:\n", "{}", "# nothing\n"} {
		path := filepath.Join(t.TempDir(), "s.yml")
		if err := os.WriteFile(path, []byte(empty), 0o600); err != nil {
			t.Fatal(err)
		}
		if d, err := manifest.ReadDeployments(path); err != nil || len(d.Instances) != 0 {
			t.Errorf("%q: %+v, %v", empty, d, err)
		}
	}
}

// Whatever is not ours stays: other programs' keys, rows' own columns, and the
// strings that Ruby 1.9 tagged.
func TestStateFileKeepsTheRest(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), manifest.DeploymentsFile)
	if err := os.WriteFile(path, []byte(strings.Replace(original, "  :vm_cid: 6b2c\n", "  :vm_cid: ! '0x10'\n  :colour: blue\n  :more: {a: [1]}\n", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	var before string
	for i := range 3 {
		d, err := manifest.ReadDeployments(path)
		if err != nil {
			t.Fatal(err)
		}
		row, ok := d.Find("micro-os")
		if !ok || row.VMCID != "0x10" {
			t.Errorf("read %+v", row)
		}
		d.Put(row)
		if err := d.Write(path); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{":colour: blue", "a: [1]", "registry_instances:", ":settings: '{}'", `:vm_cid: "0x10"`, "disks: []"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%q is not in\n%s", want, text)
			}
		}
		if i > 0 && string(text) != before {
			t.Errorf("changed by reading and writing:\n%s", cmp.Diff(before, string(text)))
		}
		before = string(text)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: settings in it are secret", info.Mode(), err)
	}
	d, err := manifest.ReadDeployments(path)
	if err != nil {
		t.Fatal(err)
	}
	d.Remove("micro-os")
	d.Put(manifest.Instance{Name: "micro-os"})
	if err := d.Write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), "blue") {
		t.Errorf("a new row has an old one's columns: %v\n%s", err, text)
	}
}

func FuzzReadDeployments(f *testing.F) {
	for _, seed := range []string{original, "instances: []", "instances:\n- :name: ! 'x'\n  :z: &a [*a]\n", "--- !ruby/object:X\ninstances:\n- name: 1\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "s.yml")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := manifest.ReadDeployments(path)
		if err != nil {
			if messages.CodeOf(err) != messages.CodeStateInvalid {
				t.Errorf("code %s: %v", messages.CodeOf(err), err)
			}
			return
		}
		if err := d.Write(path); err != nil {
			return // what cannot be written leaves the file as it is
		}
		again, err := manifest.ReadDeployments(path)
		if err != nil {
			t.Fatalf("cannot be read back: %v", err)
		}
		if diff := cmp.Diff(d.Instances, again.Instances); diff != "" {
			t.Errorf("came back changed:\n%s", diff)
		}
	})
}
