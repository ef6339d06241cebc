package action

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// A spec that is taken names no file outside of where its things go.
func FuzzParseSpec(f *testing.F) {
	f.Add([]byte(`{"deployment":"d","job":{"name":"j","templates":[{"name":"web","version":1,"sha1":"a","blobstore_id":"b"}]},"configuration_hash":"h"}`))
	f.Add([]byte(`{"job":"","packages":{"p":{"name":"p","version":"1.1","sha1":"sha256:aa","blobstore_id":"x"}},"configuration_hash":{}}`))
	f.Add([]byte(`{"job":{"name":"../x","template":"a/b"},"networks":null,"packages":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSpec(data)
		if err != nil || s.checkBlobs() != nil || s.check() != nil {
			return
		}
		names := []string{s.Job.Name}
		for _, b := range s.templates() {
			names = append(names, b.Name, string(b.Version))
		}
		for key, b := range s.Packages {
			names = append(names, key, b.Name, string(b.Version))
		}
		for _, name := range names {
			if name != "" && (name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00\n")) {
				t.Errorf("the name %q was taken", name)
			}
		}
		if _, err := json.Marshal(s.raw); err != nil {
			t.Errorf("what was taken cannot be stored: %v", err)
		}
	})
}

// A job manifest's templates stay in the job.
func FuzzManifestTemplates(f *testing.F) {
	f.Add([]byte("---\nname: web\ntemplates:\n  ctl.sh: bin/ctl\n  'a b': \"c\" # why\npackages: []\n"))
	f.Add([]byte("templates: {}\n"))
	f.Add([]byte("templates:\n  ../x: /etc/passwd\n"))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		pairs, err := manifestTemplates(manifest)
		if err != nil {
			return
		}
		for _, p := range pairs {
			if !filepath.IsLocal(p.source) || !filepath.IsLocal(p.target) {
				t.Errorf("%+v was taken", p)
			}
		}
	})
}
