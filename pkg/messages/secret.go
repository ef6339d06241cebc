package messages

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
)

// secretKey is a key whose value is a secret wherever people name keys of their
// own.
var secretKey = regexp.MustCompile(`(?i)passw|secret|token|credential|passphrase|private_?key|api_?key|access_?key|crypt_?key|sign_?key|user_?data`)

// SecretKey tells whether a key's name says that its value is a secret.
func SecretKey(key string) bool { return secretKey.MatchString(key) }

// Harmless tells whether nothing in v, a value as encoding/json decodes it,
// looks like a secret: a key that says so, a URL with user information, PEM.
func Harmless(v any) bool {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if !Harmless(item) {
				return false
			}
		}
	case map[string]any:
		for key, item := range v {
			if SecretKey(key) || !Harmless(item) {
				return false
			}
		}
	case string:
		if strings.Contains(v, "://") {
			u, err := url.Parse(v)
			return err == nil && u.User == nil
		}
		return !strings.Contains(v, "-----BEGIN")
	}
	return true
}

// Part takes out of a JSON object what does not look harmless. closed is nil
// when everything does; Overlay puts the two together again.
func Part(object json.RawMessage) (open, closed json.RawMessage, err error) {
	tree, err := treeOf(object)
	if err != nil {
		return nil, nil, err
	}
	rest := part(tree)
	if len(rest) == 0 {
		return object, nil, nil
	}
	if open, err = json.Marshal(tree); err != nil {
		return nil, nil, err
	}
	closed, err = json.Marshal(rest)
	return open, closed, err
}

// part leaves in tree what is harmless and gives the rest.
func part(tree map[string]any) map[string]any {
	closed := map[string]any{}
	for key, v := range tree {
		sub, isMap := v.(map[string]any)
		switch {
		case SecretKey(key):
			closed[key] = v
			delete(tree, key)
		case isMap:
			if rest := part(sub); len(rest) > 0 {
				closed[key] = rest
			}
		case !Harmless(v):
			closed[key] = v
			delete(tree, key)
		}
	}
	return closed
}

// Overlay lays a JSON object over another, map by map. An empty one changes
// nothing.
func Overlay(base, over json.RawMessage) (json.RawMessage, error) {
	if len(over) == 0 {
		return base, nil
	}
	below, err := treeOf(base)
	if err != nil {
		return nil, err
	}
	above, err := treeOf(over)
	if err != nil {
		return nil, err
	}
	return json.Marshal(overlay(below, above))
}

func overlay(base, over map[string]any) map[string]any {
	for key, v := range over {
		above, isMap := v.(map[string]any)
		below, hasMap := base[key].(map[string]any)
		if isMap && hasMap {
			v = overlay(below, above)
		}
		base[key] = v
	}
	return base
}

// treeOf keeps numbers as they were written. Its error quotes nothing.
func treeOf(object json.RawMessage) (map[string]any, error) {
	tree := map[string]any{}
	if len(object) == 0 {
		return tree, nil
	}
	dec := json.NewDecoder(bytes.NewReader(object))
	dec.UseNumber()
	if dec.Decode(&tree) != nil {
		return nil, Errorf(CodeMalformed, "it is no JSON object")
	}
	if tree == nil { // null
		tree = map[string]any{}
	}
	return tree, nil
}
