package action

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestManifestTemplates(t *testing.T) {
	t.Parallel()
	got, err := manifestTemplates([]byte(`---
name: director
# words
templates:
  director_ctl.erb: bin/director_ctl
  "config.yml.erb":  'config/director.yml'   # a file
  a b: c

packages:
  - ruby
properties:
  x: {y: z}
`))
	want := []pair{{"director_ctl.erb", "bin/director_ctl"}, {"config.yml.erb", "config/director.yml"}, {"a b", "c"}}
	if err != nil || cmp.Diff(want, got, cmp.AllowUnexported(pair{})) != "" {
		t.Errorf("got %v %v", got, err)
	}
	for name, text := range map[string]string{
		"none": "name: x\n", "empty": "templates: {}\n", "null": "templates:\npackages: []\n",
	} {
		if got, err := manifestTemplates([]byte(text)); err != nil || len(got) != 0 {
			t.Errorf("%s: got %v %v", name, got, err)
		}
	}
	for name, text := range map[string]string{
		"list":      "templates: [a]\n",
		"items":     "templates:\n  - a\n",
		"nested":    "templates:\n  a: b\n    c: d\n",
		"leads out": "templates:\n  a: ../../b\n",
		"absolute":  "templates:\n  /etc/passwd: b\n",
		"anchor":    "templates:\n  a: *b\n",
		"no value":  "templates:\n  a:\n",
	} {
		if got, err := manifestTemplates([]byte(text)); err == nil {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestSpecs(t *testing.T) {
	t.Parallel()
	const good = `{"name":"a","version":9,"sha1":"x","blobstore_id":"y"}`
	cases := map[string]struct{ spec, fails string }{
		"only stored":         {`{"deployment":"d","job":{"name":"j","templates":[{"name":"../x"}]}}`, ""},
		"no job":              {`{"job":"","configuration_hash":{}}`, ""},
		"a number as version": {`{"configuration_hash":"h","job":{"name":"j","templates":[` + good + `]}}`, ""},
		"legacy":              {`{"configuration_hash":"h","job":{"name":"j","template":"t","version":"1","sha1":"x","blobstore_id":"y"}}`, ""},
		"odd networks":        {`{"networks":{"type":"dynamic"}}`, ""},
		"missing":             {`{"configuration_hash":{},"job":{"name":"j","templates":[{"name":"a"}]}}`, "Invalid job spec: version, sha1, blobstore_id missing"},
		"twice":               {`{"configuration_hash":{},"job":{"name":"j","templates":[` + good + `,` + good + `]}}`, "twice"},
		"leads out":           {`{"configuration_hash":{},"job":{"name":"j","templates":[{"name":"..","version":"1","sha1":"x","blobstore_id":"y"}]}}`, "not usable"},
		"version leads out":   {`{"configuration_hash":{},"packages":{"p":{"name":"p","version":"../..","sha1":"x","blobstore_id":"y"}}}`, "not usable"},
		"another name":        {`{"configuration_hash":{},"packages":{"p":` + good + `}}`, "is listed as"},
		"job leads out":       {`{"job":{"name":"../j"}}`, "not usable"},
		"no archive":          {`{"configuration_hash":"h","rendered_templates_archive":{"sha1":"","blobstore_id":""},"packages":{}}`, ""},
		"half an archive":     {`{"configuration_hash":"h","rendered_templates_archive":{"sha1":"x","blobstore_id":""}}`, "blobstore_id are needed"},
		"a job, no archive":   {`{"configuration_hash":"h","rendered_templates_archive":{},"job":{"name":"j","templates":[{"name":"a","version":"1"}]}}`, "sha1, blobstore_id missing"},
		"a list":              {`[]`, "Hash expected"},
		"a list as job":       {`{"job":[]}`, "invalid spec"},
	}
	for name, c := range cases {
		s, err := parseSpec([]byte(c.spec))
		if err == nil {
			err = s.check()
		}
		if (err == nil) != (c.fails == "") || (err != nil && !strings.Contains(err.Error(), c.fails)) {
			t.Errorf("%s: got %v, want %q", name, err, c.fails)
		}
	}
}

func TestConfigurationHashRule(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`{}`: false, `{"configuration_hash":null}`: false, `{"configuration_hash":""}`: false,
		`{"configuration_hash":{}}`: true, `{"configuration_hash":"abc"}`: true,
	} {
		s, err := parseSpec([]byte(text))
		if err != nil || s.installs() != want {
			t.Errorf("%s: installs %v %v", text, s.installs(), err)
		}
	}
}

func TestDrainArgs(t *testing.T) {
	t.Parallel()
	parse := func(text string) spec {
		s, err := parseSpec([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	now := parse(`{"configuration_hash":"a","job":{"name":"j","sha1":"1"},"packages":{"p":{"name":"p","sha1":"1"},"q":{"name":"q","sha1":"1"}}}`)
	next := parse(`{"configuration_hash":"b","job":{"name":"j","sha1":"1"},"packages":{"p":{"name":"p","sha1":"2"},"q":{"name":"q","sha1":"1"},"r":{"name":"r","sha1":"1"}}}`)
	if diff := cmp.Diff([]string{"job_unchanged", "hash_changed", "p", "r"}, drainArgs(now, next)); diff != "" {
		t.Error(diff)
	}
	if got := drainArgs(spec{}, now)[0]; got != "job_new" {
		t.Errorf("got %s", got)
	}
}
