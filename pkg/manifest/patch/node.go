package patch

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Bounds on what is copied out of anchors and variables, which may hold
// themselves.
const (
	maxNodes = 100_000
	maxDepth = 64
)

// copier copies nodes with their aliases followed. A copy that would get too
// large is given up: over tells it.
type copier struct {
	nodes int
	over  bool
	at    *yaml.Node // where the copy stands; nil: where the original does
}

func (c *copier) copy(n *yaml.Node, depth int) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if c.nodes++; c.over || c.nodes > maxNodes || depth > maxDepth {
		c.over = true
		return n
	}
	out := *n
	out.Anchor = ""
	if c.at != nil {
		out.Line, out.Column = c.at.Line, c.at.Column
	}
	out.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		out.Content[i] = c.copy(child, depth+1)
	}
	return &out
}

// open makes the node behind slot one that can be changed without changing
// others: an alias becomes a copy, and so do the maps that << merges in.
func (c *copier) open(slot **yaml.Node) *yaml.Node {
	if (*slot).Kind == yaml.AliasNode {
		*slot = c.copy(*slot, 0)
	}
	n := *slot
	if n.Kind != yaml.MappingNode {
		return n
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if isMerge(n.Content[i]) {
			merged := c.copy(n.Content[i+1], 0)
			n.Content = slices.Delete(n.Content, i, i+2)
			c.merge(n, merged, 0)
			i -= 2
		}
	}
	return n
}

func isMerge(key *yaml.Node) bool { return key.Value == "<<" && key.ShortTag() == "!!merge" }

func (c *copier) merge(into, from *yaml.Node, depth int) {
	if c.nodes++; c.over || c.nodes > maxNodes || depth > maxDepth {
		c.over = true
		return
	}
	switch from.Kind {
	case yaml.SequenceNode:
		for _, item := range from.Content {
			c.merge(into, item, depth+1)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(from.Content); i += 2 {
			key, value := from.Content[i], from.Content[i+1]
			if isMerge(key) {
				c.merge(into, value, depth+1)
			} else if lookup(into, key.Value) < 0 {
				into.Content = append(into.Content, key, value)
			}
		}
	}
}

// lookup is the place of a key's value in a map's content, -1 for none.
func lookup(mapping *yaml.Node, key string) int {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Kind == yaml.ScalarNode && mapping.Content[i].Value == key {
			return i + 1
		}
	}
	return -1
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// keys are a map's, for people; not all of many.
func keys(mapping *yaml.Node) string {
	const most = 10
	var names []string
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if len(names) == most {
			names = append(names, "...")
			break
		}
		names = append(names, clip(mapping.Content[i].Value))
	}
	if len(names) == 0 {
		return "it has none"
	}
	return "there are: " + strings.Join(names, ", ")
}

func clip(name string) string {
	if r := []rune(name); len(r) > 60 {
		return string(r[:57]) + "..."
	}
	return name
}

// emptyFor is what a missing place becomes so that t can be found in it.
func emptyFor(t token, at *yaml.Node) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: at.Line, Column: at.Column}
	if t.kind != byKey {
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
	}
	return n
}

func text(s string, at *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Line: at.Line, Column: at.Column}
}
