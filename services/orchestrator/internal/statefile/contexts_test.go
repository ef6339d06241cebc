package statefile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

func TestContexts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "contexts.json")
	c, err := statefile.ReadContexts(path)
	if err != nil || c.Current != "" || c.Named == nil {
		t.Fatalf("at first there are %+v (%v)", c, err)
	}
	c.Named["prod"], c.Current = statefile.Context{Bus: "nats://h:1", Keys: "/k"}, "prod"
	if err := c.Write(path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("written with %v (%v)", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("in a folder with %v (%v)", info.Mode(), err)
	}
	read, err := statefile.ReadContexts(path)
	if diff := cmp.Diff(c, read); diff != "" || err != nil {
		t.Errorf("read back (%v):\n%s", err, diff)
	}
	if chosen, err := read.Chosen(); err != nil || chosen.Bus != "nats://h:1" {
		t.Errorf("chosen is %v (%v)", chosen, err)
	}
	read.Current = "gone"
	if _, err := read.Chosen(); messages.CodeOf(err) != messages.CodeStateInvalid {
		t.Errorf("a current one that is not there: %v", err)
	}
	for _, text := range []string{"", "[]", "\x00"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := statefile.ReadContexts(path); messages.CodeOf(err) != messages.CodeStateInvalid || messages.AsError(err).Hint == "" {
			t.Errorf("%q: %v", text, err)
		}
	}
}
