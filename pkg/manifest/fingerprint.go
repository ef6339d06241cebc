package manifest

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"maps"
	"slices"
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
// lists, is a list of pairs sorted by key. The original left maps inside of
// lists in the order of the file; here they are sorted, for nothing else is
// remembered, so that a manifest with vcenters looks changed once.
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
