package manifest

import (
	"os"
	"regexp"
	"testing"
)

// Hints send people to docs/manifest.md, so it has to name every key.
func TestDocsNameEveryKey(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/manifest.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("docs/manifest.md shows no manifest")
	}
	if _, err := Parse("docs/manifest.md", block[1]); err != nil {
		t.Errorf("the manifest in the docs is refused: %v", err)
	}
	var check func(path string, r rule)
	check = func(path string, r rule) {
		for key, below := range r.keys {
			if !regexp.MustCompile("(?m)(^|[ `{(])" + key + "[`:]").Match(text) {
				t.Errorf("docs/manifest.md does not name %s", join(path, key))
			}
			check(join(path, key), below)
		}
	}
	check("", schema())
}
