package rootless

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTrim(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "console")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Repeat("x", 100)); err != nil {
		t.Fatal(err)
	}
	trim(f, 100)
	if info, err := f.Stat(); err != nil || info.Size() != 100 {
		t.Errorf("it has %d bytes, %v", info.Size(), err)
	}
	trim(f, 99)
	if b, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(b), "devcloud: ") {
		t.Errorf("it says %q, %v", b, err)
	}
}
