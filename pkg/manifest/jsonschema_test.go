package manifest

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write docs/micro_bosh.schema.json")

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
		for key, below := range r.keys {
			check(join(path, key), below, o.Properties[key])
		}
	}
	check("", schema(), Schema())
}
