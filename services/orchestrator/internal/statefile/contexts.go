package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Contexts are the control planes that a person works with, by name.
type Contexts struct {
	Current string             `json:"current,omitempty"` // "" = none: a bus of the command's own
	Named   map[string]Context `json:"contexts"`
}

// Context is one control plane. The login is in the keys, never in the URL.
type Context struct {
	Bus  string `json:"bus"`
	Keys string `json:"keys"` // absolute path of the folder
}

// ReadContexts reads the file; a missing one has no contexts. One that cannot be
// read is an error: a command must not go to another control plane than meant.
func ReadContexts(path string) (Contexts, error) {
	c := Contexts{Named: map[string]Context{}}
	b, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("cannot read the contexts: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, messages.Errorf(messages.CodeStateInvalid, "cannot read the contexts in %s: %w", path, err).
			WithHint("mend the file, or delete it and add the contexts again: microbosh context add NAME")
	}
	if c.Named == nil {
		c.Named = map[string]Context{}
	}
	return c, nil
}

// Chosen is the current context; nil when there is none.
func (c Contexts) Chosen() (*Context, error) {
	if c.Current == "" {
		return nil, nil
	}
	chosen, ok := c.Named[c.Current]
	if !ok {
		return nil, messages.Errorf(messages.CodeStateInvalid, "the context %q is the current one, and is not there", c.Current).
			WithHint("choose one: microbosh context use NAME")
	}
	return &chosen, nil
}

// Write stores the contexts, for nobody else to read.
func (c Contexts) Write(path string) error {
	return writeJSON(path, "the contexts", c)
}
