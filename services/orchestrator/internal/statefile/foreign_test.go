package statefile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

const original = `---
instances:
- :id: 1
  :name: micro
  :uuid: bm-0d2f0c9e-3c35-4b1f-9d0e-0c1f7d4a2b11
  :stemcell_cid: image-1
  :stemcell_sha1: sha-s
  :stemcell_name: bosh-stemcell-1
  :config_sha1: sha-c
  :vm_cid: vm-1
  :disk_cid: vol-1
- :id: 2
  :name: light
  :uuid: bm-2
  :stemcell_cid: image-2
  :stemcell_name: image-2
- :id: 3
  :name: nothing
  :uuid: bm-3
disks: []
`

const createEnvState = `{"director_id":"d","installation_id":"i","current_vm_cid":"vm-1","current_stemcell_id":"s2","current_disk_id":"d1",
"current_release_ids":["r"],"current_manifest_sha":"x","disks":[{"id":"d0","cid":"vol-0"},{"id":"d1","cid":"vol-1","size":1024,"cloud_properties":{}}],
"stemcells":[{"id":"s1","cid":"image-1"},{"id":"s2","name":"bosh-openstack","version":"1","cid":"image-2"}],"releases":[]}`

func TestReadImport(t *testing.T) {
	t.Parallel()
	whole := messages.Import{
		InstanceUUID: "bm-0d2f0c9e-3c35-4b1f-9d0e-0c1f7d4a2b11", AgentID: "bm-0d2f0c9e-3c35-4b1f-9d0e-0c1f7d4a2b11",
		StemcellCID: "image-1", StemcellName: "bosh-stemcell-1", StemcellSHA1: "sha-s", ConfigSHA1: "sha-c", VMCID: "vm-1", DiskCID: "vol-1",
	}
	for name, c := range map[string]struct {
		text, deployment string
		want             messages.Import
		refusal          string
	}{
		"bosh micro":             {original, "micro", whole, ""},
		"an image of its own":    {original, "light", messages.Import{InstanceUUID: "bm-2", AgentID: "bm-2", StemcellCID: "image-2", StemcellName: "image-2", Preserve: true}, ""},
		"nothing in a cloud":     {original, "nothing", messages.Import{}, "records nothing of `nothing' in a cloud"},
		"another name":           {original, "other", messages.Import{}, "knows no deployment `other'; it has `micro', `light', `nothing'"},
		"create-env":             {createEnvState, "any", messages.Import{VMCID: "vm-1", StemcellCID: "image-2", StemcellName: "bosh-openstack", DiskCID: "vol-1"}, ""},
		"an empty record":        {strings.ReplaceAll(createEnvState, `"cid":"vol-1"`, `"cid":""`), "any", messages.Import{}, `current_disk_id is "d1", and disks has no row with that id and a cid`},
		"a record that is gone":  {strings.ReplaceAll(createEnvState, `"id":"s2"`, `"id":"s3"`), "any", messages.Import{}, `current_stemcell_id is "s2", and stemcells has no row`},
		"create-env, nothing":    {`{"director_id":"d","disks":[]}`, "any", messages.Import{}, "records nothing in a cloud"},
		"another JSON":           {`{"version":4,"serial":1,"resources":[]}`, "any", messages.Import{}, "neither director_id nor installation_id"},
		"broken JSON":            {`{"director_id":`, "any", messages.Import{}, "is no state of `bosh create-env'"},
		"binary":                 {"\x00\x01\x02", "any", messages.Import{}, "cannot be read"},
		"a list":                 {"- 1\n", "any", messages.Import{}, "its root is no map"},
		"empty":                  {"", "micro", messages.Import{}, "knows no deployment `micro'; it has none"},
		"larger than it can be":  {"{" + strings.Repeat(" ", 65<<10) + "}", "micro", messages.Import{}, "is larger than"},
		"create-env, wrong type": {`{"director_id":"d","disks":"x"}`, "any", messages.Import{}, "is no state of `bosh create-env'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "state")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := statefile.ReadImport(path, c.deployment)
			if c.refusal != "" {
				if messages.CodeOf(err) != messages.CodeStateInvalid || !strings.Contains(err.Error(), c.refusal) {
					t.Fatalf("got %+v, %v; want a refusal with %q", got, err, c.refusal)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if _, err := statefile.ReadImport(path, "micro"); messages.CodeOf(err) != messages.CodeStateInvalid {
			t.Errorf("%s: %v", path, err)
		}
	}
}
