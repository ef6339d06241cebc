package statefile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

func TestIdentityIsMintedOnceAndForgotten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), statefile.FolderName)
	ids := statefile.NewIdentities(dir)
	if uid, err := ids.Get("micro"); uid != "" || err != nil {
		t.Fatalf("before: %q, %v", uid, err)
	}
	uid, err := ids.Mint("micro")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := messages.ParseUID(uid); err != nil {
		t.Errorf("minted %q: %v", uid, err)
	}
	if again, err := statefile.NewIdentities(dir).Get("micro"); again != uid || err != nil {
		t.Errorf("read %q, %v; minted %q", again, err, uid)
	}
	info, err := os.Stat(filepath.Join(dir, "deployments", "micro.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info, err)
	}
	if err := ids.Forget("micro"); err != nil {
		t.Fatal(err)
	}
	if uid, _ := ids.Get("micro"); uid != "" {
		t.Errorf("forgotten, but still %q", uid)
	}
	if _, err := ids.Get("../micro"); messages.CodeOf(err) != messages.CodeInvalidName {
		t.Errorf("a path as a name: %v", err)
	}
}

func TestBrokenIdentityIsNotReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ids := statefile.NewIdentities(dir)
	if _, err := ids.Mint("micro"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "deployments", "micro.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ids.Get("micro"); messages.CodeOf(err) != messages.CodeStateInvalid {
		t.Errorf("got %v, want state_invalid", err)
	}
}

func TestProjectionFollowsTheSnapshot(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "micro_bosh.yml")
	file := statefile.ProjectionPath(path)
	if err := os.WriteFile(file, []byte("---\ninstances:\n- :id: 4\n  :name: other\n  :vm_cid: vm-4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := statefile.NewProjection(path)
	s := messages.Snapshot{Deployment: "micro", UID: "abcdefgh1234", InstanceUUID: "bm-1"}
	if err := p.Save(s); err != nil {
		t.Fatal(err)
	}
	if rows := read(t, file); len(rows) != 1 {
		t.Fatalf("an empty deployment has a row: %+v", rows)
	}
	s.Stemcell = &messages.Stemcell{CID: "image-1", Name: "dev"}
	s.VM = &messages.VM{CID: "server-1"}
	if err := p.Save(s); err != nil {
		t.Fatal(err)
	}
	rows := read(t, file)
	want := manifest.Instance{ID: 5, Name: "micro", UUID: "bm-1", StemcellCID: "image-1", StemcellName: "dev", VMCID: "server-1"}
	if len(rows) != 2 || rows[1] != want {
		t.Errorf("rows %+v, want %+v", rows, want)
	}
	forgotten := statefile.CheckForgotten(path, messages.Snapshot{Deployment: "micro"})
	if messages.CodeOf(forgotten) != messages.CodeStateInvalid || !strings.Contains(forgotten.Error(), "server-1") {
		t.Errorf("an empty journal beside that file: %v", forgotten)
	}
	if err := statefile.CheckForgotten(path, s); err != nil {
		t.Errorf("the journal that knows it: %v", err)
	}
	s.Stemcell, s.VM = nil, nil
	if err := p.Save(s); err != nil {
		t.Fatal(err)
	}
	if rows := read(t, file); len(rows) != 1 || rows[0].Name != "other" {
		t.Errorf("after the delete: %+v", rows)
	}
}

func read(t *testing.T, path string) []manifest.Instance {
	t.Helper()
	d, err := manifest.ReadDeployments(path)
	if err != nil {
		t.Fatal(err)
	}
	return d.Instances
}
