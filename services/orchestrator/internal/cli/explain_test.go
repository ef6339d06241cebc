package cli

import (
	"regexp"
	"testing"

	"github.com/microbosh/microbosh/docs"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

// What the pages tell people to type exists.
func TestPagesNameVerbsThatThereAre(t *testing.T) {
	t.Parallel()
	a := &app{ui: &ui.Terminal{}, getenv: func(string) string { return "" }}
	root := a.root()
	found := regexp.MustCompile("`microbosh ([a-z]+)").FindAllStringSubmatch(docs.Errors, -1)
	if len(found) < 20 {
		t.Fatalf("only %d commands found in docs/errors.md", len(found))
	}
	for _, m := range found {
		if cmd, _, err := root.Find(m[1:2]); m[1] != "help" && (err != nil || cmd == root) {
			t.Errorf("docs/errors.md names `microbosh %s`, which there is not", m[1])
		}
	}
}
