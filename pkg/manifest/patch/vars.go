package patch

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// variable is bosh-cli's ((name)); the ! is bosh-cli's, too, and means nothing.
var variable = regexp.MustCompile(`\(\(!?([-/.\w\pL]+)\)\)`)

// Vars are values of variables by name.
type Vars map[string]*yaml.Node

// Interpolate puts values in the place of variables. One that fills its place
// becomes what its value is, a whole map for one; one inside a text must be
// plain. Values are not looked into for more variables. All that have no value
// are told at once.
func Interpolate(root *yaml.Node, vars Vars) []*Problem {
	f := &filler{vars: vars, seen: map[*yaml.Node]bool{}}
	f.fill(root)
	return f.problems
}

type filler struct {
	vars     Vars
	seen     map[*yaml.Node]bool // an alias may lead to what is being filled
	copied   int
	problems []*Problem
}

// fill changes nodes in place: aliases go on leading to them.
func (f *filler) fill(n *yaml.Node) {
	if f.seen[n] {
		return
	}
	f.seen[n] = true
	switch n.Kind {
	case yaml.AliasNode:
		f.fill(n.Alias)
	case yaml.ScalarNode:
		f.scalar(n)
	default:
		for _, child := range n.Content {
			f.fill(child)
		}
	}
}

func (f *filler) scalar(n *yaml.Node) {
	spans := variable.FindAllStringSubmatchIndex(n.Value, -1)
	if len(spans) == 0 {
		return
	}
	whole := len(spans) == 1 && spans[0][0] == 0 && spans[0][1] == len(n.Value)
	var b strings.Builder
	end := 0
	for _, span := range spans {
		name := n.Value[span[2]:span[3]]
		value := f.value(n, name)
		switch {
		case value == nil:
			continue
		case whole:
			f.become(n, name, value)
			return
		case value.Kind != yaml.ScalarNode || isNull(value):
			f.problems = append(f.problems, problem(n, "((%s)) stands inside a text, so its value must be plain", clip(name)))
			continue
		}
		b.WriteString(n.Value[end:span[0]])
		b.WriteString(value.Value)
		end = span[1]
	}
	b.WriteString(n.Value[end:])
	n.Value, n.Tag, n.Style = b.String(), "!!str", yaml.DoubleQuotedStyle
}

// become makes n a copy of a value, at its own place.
func (f *filler) become(n *yaml.Node, name string, value *yaml.Node) {
	c := &copier{at: n, nodes: f.copied}
	filled := c.copy(value, 0)
	f.copied = c.nodes
	if c.over {
		f.problems = append(f.problems, problem(n, "((%s)) unfolds to too many values", clip(name)))
		return
	}
	filled.Anchor = n.Anchor
	*n = *filled
}

// value is a variable's, nil with a problem when there is none. A dot leads to
// a key of a value that is a map.
func (f *filler) value(at *yaml.Node, name string) *yaml.Node {
	if value := f.vars[name]; value != nil {
		return value
	}
	parts := strings.Split(name, ".")
	value := f.vars[parts[0]]
	if value == nil {
		f.problems = append(f.problems, problem(at, "((%s)) has no value", clip(name)))
		return nil
	}
	for i, key := range parts[1:] {
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		walked := clip(strings.Join(parts[:i+1], "."))
		if value.Kind != yaml.MappingNode {
			f.problems = append(f.problems, problem(at, "((%s)) has no value: %s is no map", clip(name), walked))
			return nil
		}
		j := lookup(value, key)
		if j < 0 {
			f.problems = append(f.problems, problem(at, "((%s)) has no value: %s has no %s", clip(name), walked, clip(key)))
			return nil
		}
		value = value.Content[j]
	}
	if value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	return value
}
