package stemcell_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/stemcell"
)

// entries are a tar's files with their content, and their modes.
func entries(t *testing.T, r io.Reader) (files map[string][]byte, modes map[string]int64) {
	t.Helper()
	files, modes = map[string][]byte{}, map[string]int64{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files, modes
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.IsZero() && h.ModTime.Unix() != 0 || h.Uid != 0 || h.Gid != 0 {
			t.Errorf("%s has a time or an owner: %v", h.Name, h)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if files[h.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
		modes[h.Name] = h.Mode
	}
}

// The dev stemcell is a micro stemcell: what its spec names lies in its blobstore.
func TestDevStemcellHoldsWhatItsSpecNames(t *testing.T) {
	t.Parallel()
	s, err := stemcell.Open(build(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Image(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	root, modes := entries(t, r)
	if modes["var/vcap/bosh/bin/bosh-agent"] != 0o755 {
		t.Errorf("the agent cannot be run: %o", modes["var/vcap/bosh/bin/bosh-agent"])
	}
	var inside any
	var outside any
	if err := errors.Join(json.Unmarshal(root["var/vcap/micro/apply_spec.json"], &inside), json.Unmarshal(s.ApplySpec, &outside)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(inside, outside); diff != "" {
		t.Errorf("the spec in the root differs from the archive's:\n%s", diff)
	}
	type archive struct {
		Name, Version, SHA1 string
		BlobstoreID         string `json:"blobstore_id"`
	}
	var spec struct {
		Deployment        string
		ConfigurationHash json.RawMessage `json:"configuration_hash"`
		Networks          map[string]string
		Job               struct {
			Name      string
			Templates []archive
		}
		Packages   map[string]archive
		Properties map[string]json.RawMessage
	}
	if err := json.Unmarshal(s.ApplySpec, &spec); err != nil {
		t.Fatal(err)
	}
	if spec.Deployment != "micro" || spec.Job.Name != "microbosh" || string(spec.ConfigurationHash) != "{}" || spec.Networks["type"] != "dynamic" {
		t.Errorf("spec %s", s.ApplySpec)
	}
	if got := string(spec.Properties["director"]); !strings.Contains(got, `"address":"127.0.0.1"`) || !strings.Contains(got, `"port":25555`) {
		t.Errorf("director %s", got)
	}
	unpack := func(a archive) map[string][]byte {
		data := root["var/vcap/micro_bosh/data/cache/"+a.BlobstoreID]
		sum := sha1.Sum(data)
		if hex.EncodeToString(sum[:]) != a.SHA1 {
			t.Fatalf("the blob %s is not what the spec says", a.BlobstoreID)
		}
		gz, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		files, _ := entries(t, gz)
		return files
	}
	job := unpack(spec.Job.Templates[0])
	for name, want := range map[string]string{"job.MF": "ctl: bin/ctl", "monit": "check process microbosh", "templates/ctl": "microbosh director"} {
		text := string(job[name])
		if !strings.Contains(strings.ReplaceAll(text, `bin/microbosh" director`, "microbosh director"), want) || strings.Contains(text, "<%") {
			t.Errorf("%s: %s", name, text)
		}
	}
	if pack := unpack(spec.Packages["microbosh"]); string(pack["bin/agent"]) != "#!/bin/sh\n" {
		t.Errorf("package %v", pack)
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(paths ...string) func(io.Writer) error {
		var files []stemcell.File
		for _, p := range paths {
			files = append(files, stemcell.File{Path: p, Mode: 0o644})
		}
		return stemcell.RootTar(files)
	}
	good := stemcell.Options{Output: filepath.Join(dir, "s.tgz"), Name: "s", Version: "1", Root: file("a/b", "a/c")}
	for name, change := range map[string]func(*stemcell.Options){
		"no name": func(o *stemcell.Options) { o.Name = "" }, "no version": func(o *stemcell.Options) { o.Version = "" },
		"no root": func(o *stemcell.Options) { o.Root = nil }, "no folder": func(o *stemcell.Options) { o.Output = filepath.Join(dir, "no", "s.tgz") },
		"absolute":      func(o *stemcell.Options) { o.Root = file("/a") },
		"outside":       func(o *stemcell.Options) { o.Root = file("../a") },
		"twice":         func(o *stemcell.Options) { o.Root = file("a", "a") },
		"file + folder": func(o *stemcell.Options) { o.Root = file("a", "a/b") },
		"no source": func(o *stemcell.Options) {
			o.Root = stemcell.RootTar([]stemcell.File{{Path: "a", Source: filepath.Join(dir, "nothing")}})
		},
	} {
		o := good
		change(&o)
		if err := stemcell.Build(o); err == nil {
			t.Errorf("%s: built", name)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if err := stemcell.Build(good); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
