package stemcell_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	recipe "github.com/microbosh/microbosh/deploy/stemcell"
	"github.com/microbosh/microbosh/pkg/erb"
	"github.com/microbosh/microbosh/pkg/stemcell"
)

// Every job of the micro release can be read as an agent reads it, names only
// templates and packages that are there, and renders with the spec's own
// properties.
func TestReleaseIsWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"microbosh", "microbosh-registry", "microbosh-cpi-openstack"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r, err := recipe.Release("1", dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Jobs) != 5 || len(r.Packages) != 3 {
		t.Fatalf("%d jobs, %d packages", len(r.Jobs), len(r.Packages))
	}
	_, spec, err := r.Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range r.Jobs {
		packed, err := stemcell.Archive(files)
		if err != nil {
			t.Fatal(err)
		}
		job, err := stemcell.ReadJob(bytes.NewReader(packed))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.Contains(string(job.Monit), "check process "+name+"\n") {
			t.Errorf("%s: monit %s", name, job.Monit)
		}
		targets := map[string]string{}
		for _, template := range job.Templates {
			rendered := []erb.File{{Name: template.Source, Text: template.Text}}
			if err := erb.Render(t.Context(), spec, rendered); err != nil {
				if err == erb.ErrNoRuby { //nolint:errorlint // as it is given
					t.Skip("needs ruby (make deps-root installs it)")
				}
				t.Fatalf("%s: %s: %v", name, template.Source, err)
			}
			targets[template.Target] = string(rendered[0].Text)
		}
		for _, target := range []string{"bin/ctl", "bin/run", "bin/drain", "config/environment"} {
			if targets[target] == "" {
				t.Errorf("%s has no %s", name, target)
			}
		}
		keeps := name == "bus" || name == "director"
		if has := targets["bin/pre-start"] != ""; has != keeps {
			t.Errorf("%s makes a folder on the persistent disk: %t, want %t", name, has, keeps)
		}
		if !strings.Contains(targets["config/environment"], "\nport=4222\n") {
			t.Errorf("%s: %s", name, targets["config/environment"])
		}
		if name == "director" && !json.Valid([]byte(targets["config/director.json"])) {
			t.Errorf("director: %s", targets["config/director.json"])
		}
		for pack := range strings.SplitSeq(string(manifest(files)), "\n") {
			if pack, ok := strings.CutPrefix(pack, "- "); ok && r.Packages[pack] == nil {
				t.Errorf("%s needs the package %s, which is not there", name, pack)
			}
		}
	}
}

func manifest(files []stemcell.File) []byte {
	for _, f := range files {
		if f.Path == "job.MF" {
			return f.Data
		}
	}
	return nil
}
