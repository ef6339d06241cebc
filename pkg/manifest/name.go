package manifest

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// Name is the name of a manifest whose variables need not all have a value: for
// who only wants to know which deployment it is. It is "" where the name itself
// is not told.
func Name(path string, in Inputs) string {
	data, err := readFile(path, "")
	if err != nil || readable(path, data) != nil {
		return ""
	}
	root, err := parseRoot(path, data)
	if err != nil {
		return ""
	}
	c := &checker{sources: sources{path}, keys: map[string]*yaml.Node{}, values: map[string]*yaml.Node{}, open: map[int]bool{}}
	e, err := c.edit(in)
	if err != nil {
		return ""
	}
	root = c.patch(root, e)
	if root == nil || root.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		value := root.Content[i+1]
		if root.Content[i].Value == "name" && value.Kind == yaml.ScalarNode && !strings.Contains(value.Value, "((") {
			return value.Value
		}
	}
	return ""
}
