package disk

import (
	"path"
	"strings"
	"testing"
)

// A hint that is taken names something below /dev.
func FuzzHint(f *testing.F) {
	for _, seed := range []string{`"/dev/sdc"`, `{"path":"/dev/../etc/passwd"}`, `{"volume_id":"0123456789abcdef0123456789"}`, `{"id":"a/b"}`, `7`, `{"id":".."}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, hint []byte) {
		at, err := devicePath(hint)
		if err == nil && (!strings.HasPrefix(at, "/dev/") || path.Clean(at) != at) {
			t.Errorf("%s leads to %q", hint, at)
		}
	})
}
