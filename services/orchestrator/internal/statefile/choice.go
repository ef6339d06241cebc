package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// Choice is what `microbosh deployment` chose.
type Choice struct {
	Deployment string `json:"deployment,omitempty"` // absolute path of the manifest
	Target     string `json:"target,omitempty"`     // https://<ip>:<port> of the Director
	TargetName string `json:"target_name,omitempty"`

	// Files that change the manifest as it is read: absolute paths.
	VarsFiles []string `json:"vars_files,omitempty"`
	OpsFiles  []string `json:"ops_files,omitempty"`
}

// ReadChoice reads the file; a missing or malformed one chooses nothing, as in
// BOSH.
func ReadChoice(path string) (Choice, error) {
	b, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Choice{}, nil
	}
	if err != nil {
		return Choice{}, fmt.Errorf("cannot read the chosen deployment: %w", err)
	}
	var c Choice
	if json.Unmarshal(b, &c) != nil {
		return Choice{}, nil
	}
	return c, nil
}

// Write stores the choice.
func (c Choice) Write(path string) error {
	return writeJSON(path, "the chosen deployment", c)
}
