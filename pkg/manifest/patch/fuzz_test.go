package patch_test

import (
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/microbosh/microbosh/pkg/manifest/patch"
)

// Whatever stands in the files, a problem is the worst that comes of it.
func FuzzPatch(f *testing.F) {
	f.Add(base, "- {type: replace, path: '/new?/name=z/size', value: ((x))}\n- {type: remove, path: '/list/0:next'}", "x: {a: 1}")
	f.Add("a: &a [*a]\nb: {<<: *a}", "- {type: replace, path: '/b/0:after', value: &v [*v]}", "x: &x [*x, ((x))]")
	f.Add("a: ((x.y.z))", "- {type: remove, path: /a/b=c/-1}", "x: {y: {<<: {z: 1}}}")
	f.Fuzz(func(t *testing.T, manifest, operations, values string) {
		read := func(text string) *yaml.Node {
			var doc yaml.Node
			if len(text) > 4096 || yaml.Unmarshal([]byte(text), &doc) != nil || len(doc.Content) == 0 {
				t.Skip("no YAML")
			}
			return doc.Content[0]
		}
		root, vars := read(manifest), patch.Vars{"x": read(values)}
		ops, problems := patch.ParseOps(read(operations))
		if len(problems) > 0 {
			return
		}
		root, failed := patch.Apply(root, ops)
		if failed == nil {
			patch.Interpolate(root, vars)
		}
	})
}
