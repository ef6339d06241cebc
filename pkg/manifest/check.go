package manifest

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxNodes bounds a manifest once its aliases are followed.
const maxNodes = 100_000

// checker turns nodes into a tree and collects every problem on the way.
type checker struct {
	file     string
	nodes    int
	problems []string
}

func (c *checker) problem(n *yaml.Node, format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf("%s:%d:%d: %s", c.file, n.Line, n.Column, fmt.Sprintf(format, args...)))
}

// value checks a node against its rule and gives it as plain Go values.
func (c *checker) value(n *yaml.Node, path string, r rule) any {
	if c.nodes++; c.nodes > maxNodes {
		if c.nodes == maxNodes+1 {
			c.problem(n, "the manifest unfolds to more than %d values", maxNodes)
		}
		return nil
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	v := c.convert(n, path, r)
	if v != nil && !fitsKind(v, r.kind) {
		c.problem(n, "%s must be %s", path, r.kind)
	}
	return v
}

func (c *checker) convert(n *yaml.Node, path string, r rule) any {
	switch n.Kind {
	case yaml.MappingNode:
		return c.mapping(n, path, r)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			out = append(out, c.value(item, fmt.Sprintf("%s[%d]", path, i), rule{}))
		}
		return out
	default:
		return c.scalar(n, path, r)
	}
}

func (c *checker) scalar(n *yaml.Node, path string, r rule) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int":
		var i int
		if n.Decode(&i) != nil {
			c.problem(n, "%s is too large a number", path)
			return nil
		}
		if r.kind == text {
			return n.Value
		}
		return i
	case "!!float":
		var f float64
		if n.Decode(&f) != nil {
			return n.Value
		}
		if r.kind == text {
			return n.Value
		}
		return f
	}
	if r.kind == boolean {
		// YAML 1.1's words, which Ruby read as booleans.
		switch strings.ToLower(n.Value) {
		case "yes", "on":
			return true
		case "no", "off":
			return false
		}
	}
	return n.Value // strings, and dates, which Ruby-era manifests mean as text
}

func (c *checker) mapping(n *yaml.Node, path string, r rule) any {
	out := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			c.problem(key, "a key below %s is no plain word", place(path))
			continue
		}
		if key.Value == "<<" && key.ShortTag() == "!!merge" {
			c.problem(key, "merge keys (<<) are not understood")
			continue
		}
		name := join(path, key.Value)
		if _, twice := out[key.Value]; twice {
			c.problem(key, "%s is there twice", name)
			continue
		}
		known, ok := r.keys[key.Value]
		if !ok && len(r.keys) > 0 && !r.open {
			c.problem(key, "%s is not known%s", name, suggest(key.Value, r.keys))
			continue
		}
		if !ok && len(r.keys) == 0 {
			known = rule{harmless: r.harmless}
		}
		out[key.Value] = c.value(value, name, known)
	}
	return out
}

func fitsKind(v any, k kind) bool {
	switch k {
	case text:
		_, ok := v.(string)
		return ok
	case number:
		_, ok := v.(int)
		return ok
	case boolean:
		_, ok := v.(bool)
		return ok
	case hash:
		_, ok := v.(map[string]any)
		return ok
	case texts:
		list, ok := v.([]any)
		return ok && !slices.ContainsFunc(list, func(item any) bool { _, ok := item.(string); return !ok })
	}
	return true
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func place(path string) string {
	if path == "" {
		return "the root"
	}
	return path
}

// suggest names the known key that a wrong one may have meant.
func suggest(wrong string, keys map[string]rule) string {
	best, least := "", 3
	for key := range keys {
		if d := distance(wrong, key); d < least || (d == least && best != "" && key < best) {
			best, least = key, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
