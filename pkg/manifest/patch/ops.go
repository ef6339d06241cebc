package patch

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Op is one operation of an ops file.
type Op struct {
	at     *yaml.Node // its path, for complaints
	path   string
	tokens []token
	value  *yaml.Node // nil: remove
}

func (o Op) verb() string {
	if o.value == nil {
		return "remove"
	}
	return "replace"
}

func (o Op) fails(format string, args ...any) *Problem {
	return problem(o.at, "cannot %s %s: %s", o.verb(), clip(o.path), fmt.Sprintf(format, args...))
}

// ParseOps reads an ops file: a list of operations. Every problem is told.
func ParseOps(root *yaml.Node) ([]Op, []*Problem) {
	if root.Kind != yaml.SequenceNode {
		return nil, []*Problem{problem(root, "an ops file is a list of operations, each with type, path and value")}
	}
	var ops []Op
	var problems []*Problem
	for _, item := range root.Content {
		op, err := parseOp(item)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		ops = append(ops, op)
	}
	return ops, problems
}

func parseOp(n *yaml.Node) (Op, *Problem) {
	if n.Kind != yaml.MappingNode {
		return Op{}, problem(n, "an operation is a map with type, path and value")
	}
	part := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch key := n.Content[i]; key.Value {
		case "type", "path", "value":
			part[key.Value] = n.Content[i+1]
		case "error": // go-patch's own words for a failure
		default:
			return Op{}, problem(key, "%s is not known in an operation: there are type, path and value", clip(key.Value))
		}
	}
	kind, path, value := part["type"], part["path"], part["value"]
	if kind == nil || path == nil {
		return Op{}, problem(n, "an operation needs type and path")
	}
	if path.Kind != yaml.ScalarNode {
		return Op{}, problem(path, "a path is a text such as /resources/persistent_disk")
	}
	tokens, err := parsePath(path.Value)
	if err != nil {
		return Op{}, problem(path, "the path %s is not understood: %v", clip(path.Value), err)
	}
	op := Op{at: path, path: path.Value, tokens: tokens, value: value}
	switch {
	case kind.Value == "replace" && value == nil:
		return Op{}, problem(n, "a replace needs a value")
	case kind.Value == "remove" && value != nil:
		return Op{}, problem(value, "a remove takes no value")
	case kind.Value == "remove" && len(tokens) == 0:
		return Op{}, problem(path, "the whole file cannot be removed")
	case kind.Value == "remove" && (tokens[len(tokens)-1].insert || tokens[len(tokens)-1].kind == atEnd):
		return Op{}, problem(path, "%s is a place for a new item: nothing can be removed there", clip(tokens[len(tokens)-1].text))
	case kind.Value == "replace", kind.Value == "remove":
		return op, nil
	default:
		return Op{}, problem(kind, "the type %s is not known: there are replace and remove", clip(kind.Value))
	}
}

// Apply changes root by the operations in their order, up to the first that
// fails.
func Apply(root *yaml.Node, ops []Op) (*yaml.Node, *Problem) {
	c := &copier{}
	for _, op := range ops {
		if err := op.apply(c, &root); err != nil {
			return nil, err
		}
		if c.over {
			return nil, op.fails("the manifest unfolds to too many values")
		}
	}
	return root, nil
}

func (o Op) apply(c *copier, root **yaml.Node) *Problem {
	slot, walked := root, ""
	for i, t := range o.tokens {
		below := o.tokens[i+1:]
		if isNull(*slot) && t.optional {
			if o.value == nil {
				return nil
			}
			*slot = emptyFor(t, o.at)
		}
		n := c.open(slot)
		var next **yaml.Node
		var err *Problem
		if t.kind == byKey {
			next, err = o.inMap(n, t, below, walked)
		} else {
			next, err = o.inList(c, n, t, below, walked)
		}
		if err != nil || next == nil {
			return err
		}
		slot = next
		walked += "/" + t.text
	}
	*slot = c.copy(o.value, 0)
	return nil
}

// inMap finds a key's value. nil without a problem means that all is done.
func (o Op) inMap(n *yaml.Node, t token, below []token, walked string) (**yaml.Node, *Problem) {
	if n.Kind != yaml.MappingNode {
		return nil, o.fails("%s is no map", place(walked))
	}
	i := lookup(n, t.key)
	switch {
	case i < 0 && !t.optional:
		return nil, o.fails("%s has no %s (%s)", place(walked), clip(t.key), keys(n))
	case o.value == nil && i < 0:
		return nil, nil
	case o.value == nil && len(below) == 0:
		n.Content = slices.Delete(n.Content, i-1, i+1)
		return nil, nil
	case i < 0:
		made, err := o.missing(below)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, text(t.key, o.at), made)
		i = len(n.Content) - 1
	}
	return &n.Content[i], nil
}

// inList finds an item, or makes room for a new one.
func (o Op) inList(c *copier, n *yaml.Node, t token, below []token, walked string) (**yaml.Node, *Problem) {
	if n.Kind != yaml.SequenceNode {
		return nil, o.fails("%s is no list", place(walked))
	}
	i, found, err := o.index(c, n, t, walked)
	if err != nil {
		return nil, err
	}
	switch {
	case !found && o.value == nil:
		return nil, nil
	case !found: // a new last item
		made, err := o.missing(below)
		if err != nil {
			return nil, err
		}
		if t.kind == byMatch && len(below) > 0 {
			made = emptyFor(token{}, o.at)
			made.Content = []*yaml.Node{text(t.key, o.at), text(t.value, o.at)}
		}
		n.Content = append(n.Content, made)
		i = len(n.Content) - 1
	case t.insert:
		if t.after {
			i++
		}
		n.Content = slices.Insert(n.Content, i, text("", o.at))
	case o.value == nil && len(below) == 0:
		n.Content = slices.Delete(n.Content, i, i+1)
		return nil, nil
	}
	return &n.Content[i], nil
}

// index is the item that a token names; found is false for one that is yet to
// be made.
func (o Op) index(c *copier, n *yaml.Node, t token, walked string) (i int, found bool, err *Problem) {
	switch t.kind {
	case atEnd:
		return len(n.Content), false, nil
	case byIndex:
		if i = t.index; i < 0 {
			i += len(n.Content)
		}
	default:
		matches := c.matching(n, t)
		if len(matches) == 0 && t.optional {
			return 0, false, nil
		}
		if len(matches) != 1 {
			return 0, false, o.fails("%s has %d items with %s %s, where one is meant", place(walked), len(matches), clip(t.key), clip(t.value))
		}
		i = matches[0]
	}
	if i += t.shift; i < 0 || i >= len(n.Content) {
		return 0, false, o.fails("%s has %d items, so there is no %s", place(walked), len(n.Content), clip(t.text))
	}
	return i, true, nil
}

func (c *copier) matching(list *yaml.Node, t token) []int {
	var out []int
	for i := range list.Content {
		item := c.open(&list.Content[i])
		if item.Kind != yaml.MappingNode {
			continue
		}
		if j := lookup(item, t.key); j > 0 {
			value := item.Content[j]
			if value.Kind == yaml.AliasNode {
				value = value.Alias
			}
			if value.Kind == yaml.ScalarNode && value.Value == t.value {
				out = append(out, i)
			}
		}
	}
	return out
}

// missing is what stands at a place that is made so that more can be put
// below it.
func (o Op) missing(below []token) (*yaml.Node, *Problem) {
	if len(below) == 0 {
		return text("", o.at), nil
	}
	if below[0].kind == byIndex {
		return nil, o.fails("there is no list yet that %s could be in", clip(below[0].text))
	}
	return emptyFor(below[0], o.at), nil
}

func place(walked string) string {
	if walked == "" {
		return "the root"
	}
	return clip(strings.ReplaceAll(walked, "?", ""))
}
