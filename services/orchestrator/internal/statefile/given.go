package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Given is what the last deploy of a manifest was given to change it: the other
// verbs read the manifest in the same way. Values are not kept.
type Given struct {
	VarsFiles []string `json:"vars_files,omitempty"` // absolute paths
	OpsFiles  []string `json:"ops_files,omitempty"`
	Vars      []string `json:"vars,omitempty"` // names
}

// Empty tells whether the manifest was read as it is.
func (g Given) Empty() bool { return len(g.VarsFiles)+len(g.OpsFiles)+len(g.Vars) == 0 }

// givens are by the manifest's file name: a folder may hold several.
type givens map[string]Given

func givenPath(manifest string) string {
	return filepath.Join(filepath.Dir(manifest), FolderName, "given.json")
}

func readGivens(path string) (givens, error) {
	b, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return givens{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read what the last deploy was given: %w", err)
	}
	all := givens{}
	if json.Unmarshal(b, &all) != nil {
		return nil, messages.Errorf(messages.CodeStateInvalid, "cannot read %s: it is no JSON", path).
			WithHint("remove the file: the next deploy writes it again")
	}
	return all, nil
}

// ReadGiven is what the last deploy of a manifest was given.
func ReadGiven(manifest string) (Given, error) {
	all, err := readGivens(givenPath(manifest))
	return all[filepath.Base(manifest)], err
}

// WriteGiven remembers it; an empty one is forgotten.
func WriteGiven(manifest string, g Given) error {
	path := givenPath(manifest)
	all, err := readGivens(path)
	if err != nil {
		all = givens{}
	}
	name := filepath.Base(manifest)
	if _, there := all[name]; g.Empty() && !there && err == nil {
		return nil
	}
	if all[name] = g; g.Empty() {
		delete(all, name)
	}
	if len(all) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot forget what the last deploy was given: %w", err)
		}
		return nil
	}
	return writeJSON(path, "what the deploy was given", all)
}
