package patch_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/microbosh/microbosh/pkg/manifest/patch"
)

func node(t *testing.T, text string) *yaml.Node {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Content[0]
}

func value(t *testing.T, n *yaml.Node) any {
	t.Helper()
	var v any
	if err := n.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

const base = `
key: 1
nested: {one: {two: 2}}
none:
list: [a, b, c]
items:
- {name: x, size: 1}
- {name: y, size: 2}
- {name: dup}
- {name: dup}
shared: &s {a: 1, b: {c: 2}}
again: *s
merged: {<<: *s, d: 4}
"a/b:c~": 1
`

// looped holds itself twice in what it merges: following all of it would take
// longer than there is time.
const looped = base + "loop: {x: 0, <<: &l [*l, *l]}\n"

func TestApply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, ops, want string }{
		{"key", "{type: replace, path: /key, value: 9}", "key: 9"},
		{"deep", "{type: replace, path: /nested/one/two, value: {x: y}}", "nested: {one: {two: {x: y}}}"},
		{"remove", "{type: remove, path: /nested/one/two}", "nested: {one: {}}"},
		{"remove nothing", "{type: remove, path: '/nested/six?/two'}", "nested: {one: {two: 2}}"},
		{"below null", "{type: remove, path: '/none/a?/b'}", "none: null"},
		{"new key", "{type: replace, path: '/nested/new?', value: 1}", "nested: {one: {two: 2}, new: 1}"},
		{"new keys", "{type: replace, path: '/nested/new?/deep/-', value: 1}", "nested: {one: {two: 2}, new: {deep: [1]}}"},
		{"in null", "{type: replace, path: '/none/a?', value: 1}", "none: {a: 1}"},
		{"index", "{type: replace, path: /list/1, value: B}", "list: [a, B, c]"},
		{"last", "{type: remove, path: /list/-1}", "list: [a, b]"},
		{"end", "{type: replace, path: /list/-, value: d}", "list: [a, b, c, d]"},
		{"before", "{type: replace, path: '/list/0:before', value: z}", "list: [z, a, b, c]"},
		{"after last", "{type: replace, path: '/list/-1:after', value: z}", "list: [a, b, c, z]"},
		{"next", "{type: replace, path: '/list/0:next', value: z}", "list: [a, z, c]"},
		{"prev", "{type: remove, path: '/list/2:prev'}", "list: [a, c]"},
		{"prev after", "{type: replace, path: '/list/2:prev:after', value: z}", "list: [a, b, z, c]"},
		{"match", "{type: replace, path: /items/name=y/size, value: 9}", "items: [{name: x, size: 1}, {name: y, size: 9}, {name: dup}, {name: dup}]"},
		{"after match", "{type: replace, path: '/items/name=y:after', value: 9}", "items: [{name: x, size: 1}, {name: y, size: 2}, 9, {name: dup}, {name: dup}]"},
		{"remove match", "{type: remove, path: /items/name=x}", "items: [{name: y, size: 2}, {name: dup}, {name: dup}]"},
		{"new match", "{type: replace, path: '/new?/name=z/size', value: 9}", "new: [{name: z, size: 9}]"},
		{"an alias is a copy", "{type: replace, path: /again/b/c, value: 9}", "again: {a: 1, b: {c: 9}}\nshared: {a: 1, b: {c: 2}}"},
		{"a merged key", "{type: replace, path: /merged/b/c, value: 9}", "merged: {a: 1, b: {c: 9}, d: 4}\nshared: {a: 1, b: {c: 2}}"},
		{"a merged key goes", "{type: remove, path: /merged/b}", "merged: {a: 1, d: 4}"},
		{"escapes", "{type: replace, path: /a~1b~7c~0, value: 2}", "a/b:c~: 2"},
		{"in order", "{type: replace, path: /key, value: {a: 1}}\n- {type: replace, path: '/key/b?', value: 2}", "key: {a: 1, b: 2}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ops, problems := patch.ParseOps(node(t, "- "+c.ops))
			if len(problems) > 0 {
				t.Fatal(problems[0])
			}
			root, err := patch.Apply(node(t, base), ops)
			if err != nil {
				t.Fatal(err)
			}
			got := value(t, root).(map[string]any)
			for key, want := range value(t, node(t, c.want)).(map[string]any) {
				if diff := cmp.Diff(want, got[key]); diff != "" {
					t.Errorf("%s:\n%s", key, diff)
				}
			}
		})
	}
}

func TestApplyFails(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{type: replace, path: /kye, value: 1}":             "1:25: cannot replace /kye: the root has no kye (there are: key, nested, none, list, items, shared, again, merged, a/b:c~, loop)",
		"{type: remove, path: /nested/two}":                 "1:24: cannot remove /nested/two: /nested has no two (there are: one)",
		"{type: replace, path: /key/a, value: 1}":           "1:25: cannot replace /key/a: /key is no map",
		"{type: replace, path: /nested/-, value: 1}":        "1:25: cannot replace /nested/-: /nested is no list",
		"{type: replace, path: /list/3, value: 1}":          "1:25: cannot replace /list/3: /list has 3 items, so there is no 3",
		"{type: replace, path: /items/name=z, value: 1}":    "1:25: cannot replace /items/name=z: /items has 0 items with name z, where one is meant",
		"{type: remove, path: /items/name=dup}":             "1:24: cannot remove /items/name=dup: /items has 2 items with name dup, where one is meant",
		"{type: replace, path: '/list/0:prev', value: 1}":   "1:25: cannot replace /list/0:prev: /list has 3 items, so there is no 0:prev",
		"{type: replace, path: '/new?/0', value: 1}":        "1:25: cannot replace /new?/0: there is no list yet that 0 could be in",
		"{type: replace, path: key, value: 1}":              "1:25: the path key is not understood: a path begins with /",
		"{type: replace, path: /a/-/b, value: 1}":           "1:25: the path /a/-/b is not understood: - is the place after a list's last item, so nothing comes below it",
		"{type: replace, path: '/l/0:after/b', value: 1}":   "1:25: the path /l/0:after/b is not understood: :before and :after are places for a new item, so nothing comes below them",
		"{type: replace, path: '/key:after', value: 1}":     "1:25: the path /key:after is not understood: :after may follow only what names an item of a list; write ~7 for a colon in a key",
		"{type: replace, path: '/list/0:behind', value: 1}": "1:25: the path /list/0:behind is not understood: \":behind\" is not understood: there are :before, :after, :prev and :next",
		"{type: replace, path: /key}":                       "1:3: a replace needs a value",
		"{type: remove, path: /key, value: secret}":         "1:37: a remove takes no value",
		"{type: remove, path: /list/-}":                     "1:24: - is a place for a new item: nothing can be removed there",
		"{type: remove, path: /}":                           "1:24: the whole file cannot be removed",
		"{type: move, path: /a, value: 1}":                  "1:10: the type move is not known: there are replace and remove",
		"{typ: replace, path: /a}":                          "1:4: typ is not known in an operation: there are type, path and value",
		"{path: /a}":                                        "1:3: an operation needs type and path",
		"{type: remove, path: [a]}":                         "1:24: a path is a text such as /resources/persistent_disk",
		"text":                                              "1:3: an operation is a map with type, path and value",
		"{type: replace, path: /key, value: &v [*v]}":       "1:25: cannot replace /key: the manifest unfolds to too many values",
		"{type: replace, path: /loop/x, value: 1}":          "1:25: cannot replace /loop/x: the manifest unfolds to too many values",
		"a\n- {type: x, path: /}":                           "1:3: an operation is a map with type, path and value\n2:10: the type x is not known: there are replace and remove",
	} {
		ops, problems := patch.ParseOps(node(t, "- "+text))
		if len(problems) == 0 {
			_, err := patch.Apply(node(t, looped), ops)
			if err == nil {
				t.Errorf("%s: accepted", text)
				continue
			}
			problems = append(problems, err)
		}
		if got := told(problems); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
	if _, problems := patch.ParseOps(node(t, "a: 1")); len(problems) != 1 {
		t.Errorf("a map for a list: %v", problems)
	}
}

func told(problems []*patch.Problem) string {
	lines := make([]string, 0, len(problems))
	for _, p := range problems {
		lines = append(lines, fmt.Sprintf("%d:%d: %s", p.At.Line, p.At.Column, p.Text))
	}
	return strings.Join(lines, "\n")
}

func TestInterpolate(t *testing.T) {
	t.Parallel()
	root := node(t, `
whole: ((map))
number: ((n))
quoted: "((n))"
path: ((map.a.b))
bang: ((!n))
text: http://((host)):((n))/((map.text))
twice: ((n))((n))
((host)): 1
list: [((host)), {x: ((n))}]
anchor: &x ((n))
alias: *x
not: (( n )) ((a b)) (n)
inner: ((inner))
dotted: ((dot.ted))
self: &self [*self, ((n))]
`)
	vars := patch.Vars{}
	for name, text := range map[string]string{
		"map": "{a: {b: [1, 2]}, text: t}", "n": "010", "host": "h", "inner": "((n))", "dot.ted": "d",
	} {
		vars[name] = node(t, text)
	}
	if problems := patch.Interpolate(root, vars); len(problems) > 0 {
		t.Fatal(told(problems))
	}
	got := map[string]any{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if key := root.Content[i].Value; key != "self" {
			got[key] = value(t, root.Content[i+1])
		}
	}
	want := map[string]any{
		"whole": map[string]any{"a": map[string]any{"b": []any{1, 2}}, "text": "t"}, "number": 8, "quoted": 8, "path": []any{1, 2}, "bang": 8,
		"text": "http://h:010/t", "twice": "010010", "h": 1, "list": []any{"h", map[string]any{"x": 8}}, "anchor": 8, "alias": 8,
		"not": "(( n )) ((a b)) (n)", "inner": "((n))", "dotted": "d",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if b := root.Content[1].Content[1].Content[1].Content[0]; b.Line != 2 || b.Column != 8 {
		t.Errorf("a value from elsewhere is said to be at %d:%d", b.Line, b.Column)
	}
}

func TestInterpolateFails(t *testing.T) {
	t.Parallel()
	root := node(t, "a: ((x))\nb: [((y.z)), ((map.nope)), ((map.t.u))]\nc: in ((map)) and ((null)) and ((x))\nd: ((bomb))\n")
	vars := patch.Vars{"map": node(t, "{t: secret}"), "null": node(t, "~"), "bomb": node(t, "&b [*b, *b]")}
	want := "1:4: ((x)) has no value\n2:5: ((y.z)) has no value\n2:14: ((map.nope)) has no value: map has no nope\n2:28: ((map.t.u)) has no value: map.t is no map\n" +
		"3:4: ((map)) stands inside a text, so its value must be plain\n3:4: ((null)) stands inside a text, so its value must be plain\n3:4: ((x)) has no value\n" +
		"4:4: ((bomb)) unfolds to too many values"
	if got := told(patch.Interpolate(root, vars)); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
