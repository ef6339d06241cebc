package manifest

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Bounds on a manifest once its aliases are followed. An anchor may hold
// itself, and nothing but these stops it.
const (
	maxNodes    = 100_000
	maxDepth    = 64
	maxProblems = 50
)

// oldBooleans are YAML 1.1's words beside true and false: what a manifest of
// 2014 meant by them when they are not quoted.
var (
	oldTrue  = regexp.MustCompile(`^(?i:yes|on)$`)
	oldFalse = regexp.MustCompile(`^(?i:no|off)$`)
)

// checker turns nodes into a tree and collects every problem on the way.
type checker struct {
	sources  sources
	exists   func(path string) bool
	nodes    int
	keys     map[string]*yaml.Node // where the schema's keys are
	values   map[string]*yaml.Node // where their values are
	problems []Problem             // lines as sources numbers them
	open     map[int]bool          // lines with ERB or without a variable's value: what else is wrong there nobody knows
	hint     string
}

func (c *checker) problem(n *yaml.Node, format string, args ...any) {
	if c.open[n.Line] {
		return
	}
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, fmt.Sprintf(format, args...))
	p := Problem{Line: n.Line, Column: n.Column, Text: text}
	if !slices.Contains(c.problems, p) && len(c.problems) <= maxProblems {
		c.problems = append(c.problems, p)
	}
}

// failure is the error with all problems, in the order of the files and their
// lines.
func (c *checker) failure(hint string) error {
	slices.SortStableFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	for i, p := range c.problems {
		c.problems[i].File, c.problems[i].Line = c.sources.place(p.Line)
	}
	return messages.Errorf(messages.CodeManifestInvalid, "%w", Problems(c.problems)).WithHint("%s", cmp.Or(c.hint, hint))
}

// value checks a node against its rule and gives it as plain Go values.
func (c *checker) value(n *yaml.Node, path string, r rule, depth int) any {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if c.nodes++; c.nodes > maxNodes || depth > maxDepth {
		if c.nodes <= maxNodes {
			c.problem(n, "values are nested more than %d deep", maxDepth)
		} else if c.nodes == maxNodes+1 {
			c.problem(n, "the manifest unfolds to more than %d values", maxNodes)
		}
		return nil
	}
	var v any
	switch n.Kind {
	case yaml.MappingNode:
		c.tag(n, "!!map")
		v = c.mapping(n, path, r, depth)
	case yaml.SequenceNode:
		c.tag(n, "!!seq")
		v = c.sequence(n, path, r, depth)
	default:
		v = c.scalar(n, path, r.kind)
	}
	if v != nil && !fitsKind(v, r.kind) {
		given := kindOf(v)
		if f, ok := v.(float64); ok && r.kind == number && r.harmless {
			given = notWhole(clip(n.Value), f)
		}
		c.problem(n, "%s must be %s, not %s", clip(path), r.kind, given)
	}
	return v
}

// tag refuses tags that stand for a type which no message can carry.
func (c *checker) tag(n *yaml.Node, known ...string) bool {
	if n.Style&yaml.TaggedStyle == 0 || slices.Contains(known, n.ShortTag()) {
		return true
	}
	c.problem(n, "the tag %s is not understood", clip(n.ShortTag()))
	return false
}

func (c *checker) sequence(n *yaml.Node, path string, r rule, depth int) any {
	item := rule{}
	if r.kind == texts {
		item.kind = text
	}
	out := make([]any, 0, len(n.Content))
	for i, child := range n.Content {
		out = append(out, c.value(child, fmt.Sprintf("%s[%d]", path, i), item, depth+1))
	}
	return out
}

func (c *checker) scalar(n *yaml.Node, path string, k kind) any {
	if !c.tag(n, "!", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp") {
		return nil
	}
	switch tag := n.ShortTag(); {
	case tag == "!!null":
		return nil
	case tag == "!!bool":
		return strings.EqualFold(n.Value, "true")
	case k == text:
		return n.Value // 010 and 1.10 as they are written
	case tag == "!!int":
		var i int
		if n.Decode(&i) != nil {
			c.problem(n, "%s is too large a number; quote it if it is none", clip(path))
			return nil
		}
		return i
	case tag == "!!float":
		var f float64
		if n.Decode(&f) != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			c.problem(n, "%s is no number that a message can carry; quote it if it is none", clip(path))
			return nil
		}
		return f
	case n.Style != 0: // quoted
	case oldTrue.MatchString(n.Value):
		return true
	case oldFalse.MatchString(n.Value):
		return false
	}
	return n.Value // strings, and dates, which manifests mean as text
}

func (c *checker) mapping(n *yaml.Node, path string, r rule, depth int) any {
	out := make(map[string]any, len(n.Content)/2)
	seen := make(map[string]bool, len(n.Content)/2)
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			c.problem(key, "a key below %s is no plain word", clip(place(path)))
			continue
		}
		if key.Value == "<<" && key.ShortTag() == "!!merge" {
			merged = append(merged, value)
			continue
		}
		name := join(path, clip(key.Value))
		if seen[key.Value] {
			c.problem(key, "%s is there twice", clip(name))
			continue
		}
		seen[key.Value] = true
		known, ok := r.keys[key.Value]
		if !ok && len(r.keys) > 0 && !r.open {
			c.problem(key, "%s is not known%s", clip(name), suggest(key.Value, r.keys))
			continue
		}
		if ok {
			c.keys[name], c.values[name] = key, value
		}
		out[key.Value] = c.value(value, name, known, depth+1)
	}
	for _, value := range merged {
		c.merge(out, value, path, r, depth)
	}
	return out
}

// merge is YAML's <<: the keys of another map, or of several, that are not
// there yet.
func (c *checker) merge(out map[string]any, n *yaml.Node, path string, r rule, depth int) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if c.nodes++; c.nodes > maxNodes {
		return // a list that holds itself twice doubles at each depth
	}
	if n.Kind == yaml.SequenceNode && depth < maxDepth {
		for _, item := range n.Content {
			c.merge(out, item, path, r, depth+1)
		}
		return
	}
	if n.Kind != yaml.MappingNode {
		c.problem(n, "<< below %s needs a map", clip(place(path)))
		return
	}
	from, _ := c.value(n, path, rule{kind: hash, keys: r.keys, open: r.open}, depth+1).(map[string]any)
	for key, v := range from {
		if _, there := out[key]; !there {
			out[key] = v
		}
	}
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
	case list, texts:
		_, ok := v.([]any)
		return ok
	}
	return true
}

func kindOf(v any) string {
	switch v.(type) {
	case map[string]any:
		return "a map"
	case []any:
		return "a list"
	case bool:
		return "true or false"
	case int, float64:
		return "a number"
	default:
		return "a string"
	}
}

// notWhole says what keeps a number from being a whole one.
func notWhole(given string, f float64) string {
	switch {
	case f != math.Trunc(f):
		return given + ", a fraction"
	case math.Abs(f) > math.MaxInt64:
		return given + ", which is too large"
	default:
		return given + ", which is written as a fraction"
	}
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

// clip keeps a name short enough to read: a key may be as long as the file.
func clip(name string) string {
	if r := []rune(name); len(r) > 100 {
		return string(r[:97]) + "..."
	}
	return name
}
