package manifest

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Split parts the manifest as it was written into what may be read by anybody
// and the rest. Everything that is not known to be harmless is a secret.
func (m *Manifest) Split() (public, secrets json.RawMessage, err error) {
	open, closed := split(m.raw, schema())
	if public, err = json.Marshal(open); err != nil {
		return nil, nil, messages.Errorf(messages.CodeManifestInvalid, "the manifest holds what no message can carry: %w", err)
	}
	if secrets, err = json.Marshal(closed); err != nil {
		return nil, nil, messages.Errorf(messages.CodeManifestInvalid, "the manifest holds what no message can carry: %w", err)
	}
	return public, secrets, nil
}

func split(tree map[string]any, r rule) (open, closed map[string]any) {
	open, closed = map[string]any{}, map[string]any{}
	for key, v := range tree {
		known, ok := r.keys[key]
		if !ok {
			known = rule{harmless: r.harmless && len(r.keys) == 0}
		}
		sub, isMap := v.(map[string]any)
		switch {
		case v == nil:
			open[key] = nil
		case isMap:
			o, c := split(sub, known)
			open[key] = o
			if len(c) > 0 {
				closed[key] = c
			}
		case known.harmless && !carriesCredentials(v):
			open[key] = v
		default:
			closed[key] = v
		}
	}
	return open, closed
}

// carriesCredentials tells whether a URL has user information in it.
func carriesCredentials(v any) bool {
	s, ok := v.(string)
	if !ok || !strings.Contains(s, "://") {
		return false
	}
	u, err := url.Parse(s)
	return err != nil || u.User != nil
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
	var v map[string]any
	if err := dec.Decode(&v); err != nil {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "the manifest cannot be read: %w", err)
	}
	return asMap(numbers(v)), nil
}

// numbers makes ints of whole numbers, as YAML gives them.
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

func encode(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil || string(raw) == "null" {
		return json.RawMessage("{}")
	}
	return raw
}
