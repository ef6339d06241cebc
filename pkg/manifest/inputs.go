package manifest

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/microbosh/microbosh/pkg/manifest/patch"
	"github.com/microbosh/microbosh/pkg/messages"
)

// Inputs change a manifest as it is read: bosh-cli's -v, -l and -o. Operations
// come first, so that what they bring in may hold variables.
type Inputs struct {
	Vars      []string // NAME=VALUE, where VALUE is YAML; they beat the files
	VarsFiles []string // maps of names to values; later ones beat earlier ones
	OpsFiles  []string // lists of operations
}

// edit is Inputs, read.
type edit struct {
	ops  []patch.Op
	vars patch.Vars
}

// edit reads the inputs. What is wrong inside the files becomes problems.
func (c *checker) edit(in Inputs) (edit, error) {
	e := edit{vars: patch.Vars{}}
	for _, path := range in.OpsFiles {
		root, err := c.input(path, "-o takes an ops file: a list of operations")
		if err != nil {
			return edit{}, err
		}
		ops, problems := patch.ParseOps(root)
		c.patchProblems(problems)
		e.ops = append(e.ops, ops...)
	}
	for _, path := range in.VarsFiles {
		root, err := c.input(path, "-l takes a file with a map of variables to their values")
		if err != nil {
			return edit{}, err
		}
		if root.Kind != yaml.MappingNode {
			c.problem(root, "a vars file is a map of names to values")
			continue
		}
		for i := 0; i+1 < len(root.Content); i += 2 {
			e.vars[root.Content[i].Value] = root.Content[i+1]
		}
	}
	for _, pair := range in.Vars {
		name, value, err := parseVar(pair)
		if err != nil {
			return edit{}, err
		}
		e.vars[name] = value
	}
	return e, nil
}

func (c *checker) input(path, hint string) (*yaml.Node, error) {
	data, err := readFile(path, hint)
	if err != nil {
		return nil, err
	}
	root, err := parseDocument(path, data)
	if err != nil {
		return nil, err
	}
	c.sources.add(path, root)
	return root, nil
}

// parseVar reads NAME=VALUE. No error shows the value.
func parseVar(pair string) (string, *yaml.Node, error) {
	name, text, ok := strings.Cut(pair, "=")
	if !ok || name == "" || text == "" {
		if !ok || name == "" {
			name = "..." // what stands there may be the value
		}
		return "", nil, messages.Errorf(messages.CodeUsage, "the variable %s is not in the form NAME=VALUE", clip(name)).
			WithHint("-v 'name=value'; an empty text is -v 'name=\"\"'; secrets go into a file: -l FILE")
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || len(doc.Content) == 0 {
		return "", nil, messages.Errorf(messages.CodeUsage, "the value of the variable %s is no YAML", clip(name)).
			WithHint("put quotes around a text with special characters: -v '%s=\"...\"'", clip(name))
	}
	return name, doc.Content[0], nil
}

// patch applies the inputs to the manifest's nodes.
func (c *checker) patch(root *yaml.Node, e edit) *yaml.Node {
	root, failed := patch.Apply(root, e.ops)
	if failed != nil {
		c.patchProblems([]*patch.Problem{failed})
		return nil
	}
	problems := patch.Interpolate(root, e.vars)
	c.patchProblems(problems)
	for _, p := range problems {
		c.open[p.At.Line] = true
		c.hint = "give each a value: in a file with -l FILE, which is the way for secrets, or with -v NAME=VALUE"
	}
	return root
}

func (c *checker) patchProblems(problems []*patch.Problem) {
	for _, p := range problems {
		c.problem(p.At, "%s", p.Text)
	}
}

// parseDocument reads the one YAML document of a file.
func parseDocument(file string, data []byte) (*yaml.Node, error) {
	if err := readable(file, data); err != nil {
		return nil, err
	}
	doc, err := decodeOne(file, data)
	if err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "%s is empty", file).WithHint("%s", fmt.Sprintf("see what is in it: cat %s", file))
	}
	return doc.Content[0], nil
}
