package manifest

import (
	"gopkg.in/yaml.v3"

	"github.com/microbosh/microbosh/pkg/messages"
)

// ReadDocument reads any YAML file, an argument of an agent's method for one.
func ReadDocument(path string) (any, error) {
	data, err := readFile(path, "give the path of a YAML file")
	if err != nil {
		return nil, err
	}
	var out any
	if err := yaml.Unmarshal(data, &out); err != nil {
		return nil, messages.Errorf(messages.CodeMalformed, "Cannot load YAML file at `%s': %w", path, err)
	}
	return out, nil
}
