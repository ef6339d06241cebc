package manifest

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/micro_bosh.schema.json and the keys of docs/manifest.md")

func TestSchemaFile(t *testing.T) {
	t.Parallel()
	const path = "../../docs/micro_bosh.schema.json"
	want := append(Schema(), '\n')
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, want) {
		t.Errorf("%s is not what the code says (%v): run `make generate`", path, err)
	}
}

// Every key that the checker knows is in the schema, and no other.
func TestSchemaHasEveryKey(t *testing.T) {
	t.Parallel()
	type object struct {
		Properties           map[string]json.RawMessage
		AdditionalProperties *bool
		Required             []string
		Description          string
	}
	var check func(path string, r rule, raw json.RawMessage)
	check = func(path string, r rule, raw json.RawMessage) {
		var o object
		if err := json.Unmarshal(raw, &o); err != nil {
			t.Fatal(err)
		}
		if len(o.Properties) != len(r.keys) || (len(r.keys) > 0 && *o.AdditionalProperties != r.open) {
			t.Errorf("%q: %d keys in the schema, %d in the table", path, len(o.Properties), len(r.keys))
		}
		if o.Description == "" {
			t.Errorf("nobody tells what %q is for", path)
		}
		for key, below := range r.keys {
			check(join(path, key), below, o.Properties[key])
		}
	}
	check("", schema(), Schema())
}

// docs/manifest.md tells the same of every key as the schema, in a table that
// `make generate` writes.
func TestKeysInDocs(t *testing.T) {
	t.Parallel()
	const path, begin, end = "../../docs/manifest.md", "<!-- keys: written by `make generate` -->\n", "<!-- end of keys -->\n"
	var rows strings.Builder
	rows.WriteString("| key | value | |\n|---|---|---|\n")
	told := map[string]bool{}
	var row func(path string, r rule)
	row = func(path string, r rule) {
		for _, key := range slices.Sorted(maps.Keys(r.keys)) {
			name, below := join(path, key), r.keys[key]
			what := below.kind.String()
			if len(below.words) > 0 {
				what = strings.Join(below.words, ", ")
			}
			if below.needed {
				what += "; needed"
			}
			fmt.Fprintf(&rows, "| `%s` | %s | %s |\n", name, what, strings.ReplaceAll(about()[name], "|", `\\|`))
			told[name] = true
			row(name, below)
		}
	}
	row("", schema())
	for name := range about() {
		if !told[name] {
			t.Errorf("%s is told and no key", name)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	have, after, ended := strings.Cut(rest, end)
	switch {
	case !ok || !ended:
		t.Fatalf("%s has no place for the keys", path)
	case have == rows.String():
	case *update:
		if err := os.WriteFile(path, []byte(before+begin+rows.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s tells other keys than the code: run `make generate`", path)
	}
}
