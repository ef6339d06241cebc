package manifest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// canonical is a tree as JSON: keys sorted, and 1.0 not made 1, so that what
// comes back is what was written.
func canonical(v any) json.RawMessage {
	var b bytes.Buffer
	writeJSON(&b, v)
	return b.Bytes()
}

// writeJSON writes as Ruby's JSON does: no HTML escapes, 1.0 stays 1.0. v is
// made of what checker gives.
func writeJSON(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case map[string]any:
		b.WriteByte('{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, key)
			b.WriteByte(':')
			writeJSON(b, v[key])
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, item)
		}
		b.WriteByte(']')
	case string:
		enc := json.NewEncoder(b)
		enc.SetEscapeHTML(false)
		if enc.Encode(v) == nil {
			b.Truncate(b.Len() - 1) // the encoder's line end
		}
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int:
		b.WriteString(strconv.Itoa(v))
	case float64:
		if v == float64(int64(v)) && v < 1e15 && v > -1e15 {
			b.WriteString(strconv.FormatFloat(v, 'f', 1, 64))
		} else {
			b.WriteString(strconv.FormatFloat(v, 'g', -1, 64))
		}
	default:
		b.WriteString("null")
	}
}
