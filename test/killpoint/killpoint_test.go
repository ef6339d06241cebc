package killpoint_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/test/killpoint"
)

func TestMain(m *testing.M) {
	killpoint.Launch()
	os.Exit(m.Run())
}

// Each point more lets one change more happen, and no point is skipped.
func TestEveryPoint(t *testing.T) {
	t.Parallel()
	for n, after := range [][]string{1: {}, 2: {"a"}, 3: {"a", "b"}, 4: {"a", "b"}, 5: {"a", "c"}} {
		if n == 0 {
			continue
		}
		dir := t.TempDir()
		cmd := exec.Command("/bin/sh", "-c", `: > a; : > b; exec /bin/mv b c`)
		cmd.Dir = dir
		p := killpoint.Start(t, cmd, n)
		err := cmd.Wait()
		killed, before := p.Disarm()
		found, _ := filepath.Glob(filepath.Join(dir, "*"))
		for i := range found {
			found[i] = filepath.Base(found[i])
		}
		if strings.Join(found, " ") != strings.Join(after, " ") || killed == (err == nil) {
			t.Errorf("killed at %d (%v, %s): %v, want %v: %v", n, killed, before, found, after, err)
		}
	}
}
