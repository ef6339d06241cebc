package render_test

import (
	"crypto/sha1"
	"fmt"
	"testing"

	"github.com/microbosh/microbosh/pkg/stemcell"
	"github.com/microbosh/microbosh/services/orchestrator/internal/render"
)

func TestPack(t *testing.T) {
	t.Parallel()
	jobs := map[string]*stemcell.Job{
		"b": {Monit: []byte("M"), Templates: []stemcell.JobTemplate{{Source: "x", Target: "bin/x", Text: []byte("1")}, {Source: "y", Target: "y", Text: []byte("2")}}},
		"a": {Monit: []byte("nothing of it counts without a file")},
	}
	first, err := render.Pack(jobs)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x", sha1.Sum([]byte("M1M12"))); first.ConfigurationHash != want {
		t.Errorf("configuration_hash %s, want %s", first.ConfigurationHash, want)
	}
	again, err := render.Pack(jobs)
	if err != nil || again.SHA1 != first.SHA1 || again.BlobstoreID != first.BlobstoreID {
		t.Errorf("the same jobs make %+v and %+v, %v", first, again, err)
	}
	spec := map[string]any{"configuration_hash": map[string]any{}}
	first.Add(spec)
	if spec["configuration_hash"] != first.ConfigurationHash || spec["rendered_templates_archive"].(map[string]any)["sha1"] != first.SHA1 {
		t.Errorf("got %v", spec)
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	one := map[string]any{"name": "a", "sha1": "1", "blobstore_id": "x"}
	cases := map[string]struct {
		job   any
		n     int
		fails bool
	}{
		"none": {nil, 0, false}, "old form": {map[string]any{"template": "x"}, 0, false},
		"one": {map[string]any{"templates": []any{one}}, 1, false}, "leads out": {map[string]any{"templates": []any{map[string]any{"name": "../a", "sha1": "1", "blobstore_id": "x"}}}, 0, true},
		"incomplete": {map[string]any{"templates": []any{map[string]any{"name": "a"}}}, 0, true}, "no list": {map[string]any{"templates": "x"}, 0, true},
	}
	for name, c := range cases {
		got, err := render.Templates(map[string]any{"job": c.job})
		if len(got) != c.n || (err != nil) != c.fails {
			t.Errorf("%s: got %v %v", name, got, err)
		}
	}
}
