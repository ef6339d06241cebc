package manifest

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// ConfigSHA1 is the manifest's fingerprint in the original's form, but without
// dir and logging.file: where a deploy runs does not change what it makes.
func (m *Manifest) ConfigSHA1() string {
	tree := maps.Clone(m.raw)
	delete(tree, "dir")
	if logging := asMap(tree["logging"]); logging != nil {
		logging = maps.Clone(logging)
		delete(logging, "file")
		tree["logging"] = logging
		if len(logging) == 0 {
			delete(tree, "logging")
		}
	}
	return fingerprint(tree)
}

// OriginalConfigSHA1 is the fingerprint that `bosh micro` made when it ran in
// dir and logged to logFile; what the manifest says of either comes first.
func (m *Manifest) OriginalConfigSHA1(dir, logFile string) string {
	tree := maps.Clone(m.raw)
	if asText(tree["dir"]) == "" {
		tree["dir"] = dir
	}
	logging := maps.Clone(asMap(tree["logging"]))
	if logging == nil {
		logging = map[string]any{}
	}
	if asText(logging["file"]) == "" {
		logging["file"] = logFile
	}
	tree["logging"] = logging
	return fingerprint(tree)
}

// fingerprint is the SHA1 of the JSON in which every map, but those inside of
// lists, is a list of pairs sorted by key.
func fingerprint(tree map[string]any) string {
	var b bytes.Buffer
	writePairs(&b, tree)
	sum := sha1.Sum(b.Bytes())
	return hex.EncodeToString(sum[:])
}

func writePairs(b *bytes.Buffer, tree map[string]any) {
	b.WriteByte('[')
	for i, key := range slices.Sorted(maps.Keys(tree)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('[')
		writeJSON(b, key)
		b.WriteByte(',')
		if sub, ok := tree[key].(map[string]any); ok {
			writePairs(b, sub)
		} else {
			writeJSON(b, tree[key])
		}
		b.WriteByte(']')
	}
	b.WriteByte(']')
}

// writeJSON writes as Ruby's JSON does: no HTML escapes, 1.0 stays 1.0.
func writeJSON(b *bytes.Buffer, v any) {
	if f, ok := v.(float64); ok && f == float64(int64(f)) {
		b.WriteString(strconv.FormatFloat(f, 'f', 1, 64))
		return
	}
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) == nil {
		b.Truncate(b.Len() - 1) // the encoder's line end
	}
}
