package manifest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Schema is micro_bosh.yml as a JSON Schema (2020-12), for editors. It is what
// Load checks, but for what one key asks of another.
func Schema() json.RawMessage {
	root := schemaOf(schema(), "", about())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "micro_bosh.yml"
	root["description"] = "The manifest of a micro BOSH. docs/manifest.md tells every key."
	root["type"] = "object"
	delete(root, "pattern")
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // maps, lists and texts
	}
	return out
}

const variableOnly = `^\(\(.+\)\)$`

// schemaOf describes one value. Null means the default, and a ((variable)) may
// stand for anything.
func schemaOf(r rule, path string, about map[string]string) map[string]any {
	out := typeOf(r, path, about)
	if text := about[path]; text != "" {
		out["description"] = text
	}
	return out
}

func typeOf(r rule, path string, about map[string]string) map[string]any {
	typed := func(types ...string) map[string]any {
		return map[string]any{"type": append(types, "string", "null"), "pattern": variableOnly}
	}
	switch r.kind {
	case text:
		if len(r.words) > 0 {
			return map[string]any{"anyOf": []any{map[string]any{"enum": spellings(r.words)}, map[string]any{"type": []string{"string", "null"}, "pattern": variableOnly}}}
		}
		return map[string]any{"type": []string{"string", "number", "null"}}
	case number:
		return typed("integer")
	case boolean:
		out := typed("boolean")
		out["pattern"] = `^([Yy]es|[Nn]o|[Oo]n|[Oo]ff|YES|NO|ON|OFF)$|` + variableOnly
		return out
	case texts:
		out := typed("array")
		out["items"] = schemaOf(rule{kind: text}, "", about)
		return out
	case list:
		return typed("array")
	case hash:
		return hashSchema(r, typed("object"), path, about)
	default:
		return map[string]any{}
	}
}

func hashSchema(r rule, out map[string]any, path string, about map[string]string) map[string]any {
	if len(r.keys) == 0 {
		return out
	}
	properties := map[string]any{}
	var needed []string
	for _, key := range slices.Sorted(maps.Keys(r.keys)) {
		properties[key] = schemaOf(r.keys[key], join(path, key), about)
		if r.keys[key].needed {
			needed = append(needed, key)
		}
	}
	out["properties"] = properties
	out["additionalProperties"] = r.open
	if len(needed) > 0 {
		out["required"] = needed
	}
	return out
}

// spellings are words in the cases of letters that people use.
func spellings(words []string) []string {
	out := slices.Clone(words)
	for _, w := range words {
		if lower := strings.ToLower(w); lower != w {
			out = append(out, lower)
		}
	}
	return out
}
