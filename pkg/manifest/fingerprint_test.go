package manifest

import "testing"

// The vector was made with the original's Ruby code.
func TestFingerprintVector(t *testing.T) {
	t.Parallel()
	tree := map[string]any{
		"name": "micro-os", "network": map[string]any{"type": "dynamic", "vip": "192.0.2.10"},
		"resources": map[string]any{"persistent_disk": 4096}, "tags": []any{"b", "a"}, "flag": true, "none": nil,
	}
	if got, want := fingerprint(tree), "7e837199246d75fcdc9471e7b5837f0f924e18c4"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
