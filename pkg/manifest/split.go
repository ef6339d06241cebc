package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Split parts the manifest as it was written into what may be read by anybody
// and the rest. Everything that is not known to be harmless is a secret, with
// the names of its keys.
func (m *Manifest) Split() (public, secrets json.RawMessage, err error) {
	open, closed := split(m.raw, schema())
	return canonical(open), canonical(closed), nil
}

func split(tree map[string]any, r rule) (open, closed map[string]any) {
	open, closed = map[string]any{}, map[string]any{}
	free := len(r.keys) == 0
	for key, v := range tree {
		known, ok := r.keys[key]
		if !ok {
			known = rule{harmless: free && r.harmless && !messages.SecretKey(key)}
		}
		sub, isMap := v.(map[string]any)
		switch {
		case isMap && (known.harmless || len(known.keys) > 0):
			o, c := split(sub, known)
			open[key] = o
			if len(c) > 0 {
				closed[key] = c
			}
		case known.harmless && messages.Harmless(v), v == nil && ok:
			open[key] = v
		default:
			closed[key] = v
		}
	}
	return open, closed
}

// Join puts together what Split parted.
func Join(public, secrets json.RawMessage) (*Manifest, error) {
	open, err := decode(public)
	if err != nil {
		return nil, err
	}
	closed := map[string]any{}
	if len(secrets) > 0 {
		if closed, err = decode(secrets); err != nil {
			return nil, err
		}
	}
	tree := asMap(overlay(open, closed))
	if asText(asMap(tree["cloud"])["plugin"]) == "" {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "No cloud plugin defined")
	}
	return fromTree(tree), nil
}

func overlay(base, over map[string]any) any {
	for k, v := range over {
		sub, isMap := v.(map[string]any)
		below, hasMap := base[k].(map[string]any)
		if isMap && hasMap {
			base[k] = overlay(below, sub)
		} else {
			base[k] = v
		}
	}
	return base
}

func decode(raw json.RawMessage) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	out := map[string]any{}
	err := dec.Decode(&out)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows it")
		}
	}
	if err != nil {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "cannot read the manifest in the request: %w", err)
	}
	if out == nil { // null
		out = map[string]any{}
	}
	return asMap(numbers(out)), nil
}

// numbers gives numbers the types that YAML gave them.
func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return int(i)
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	}
	return v
}

func encode(v map[string]any) json.RawMessage {
	if v == nil {
		v = map[string]any{}
	}
	return canonical(v)
}
