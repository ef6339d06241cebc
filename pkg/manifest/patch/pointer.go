package patch

import (
	"fmt"
	"strconv"
	"strings"
)

type kind int

const (
	byKey   kind = iota // /key
	byIndex             // /0
	byMatch             // /name=value
	atEnd               // /-
)

// token is one part of a path.
type token struct {
	kind     kind
	text     string // as written
	key      string // of a map, or of the items to match
	value    string // to match
	index    int    // negative: from the end
	optional bool
	shift    int  // :prev and :next
	insert   bool // :before or :after
	after    bool
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~", "~7", ":")

// parsePath reads a path; "" and "/" are the root.
func parsePath(path string) ([]token, error) {
	if path == "" || path == "/" {
		return nil, nil
	}
	rest, rooted := strings.CutPrefix(path, "/")
	if !rooted {
		return nil, fmt.Errorf("a path begins with /")
	}
	parts := strings.Split(rest, "/")
	tokens := make([]token, 0, len(parts))
	optional := false // once missing, everything below is
	for i, part := range parts {
		t, err := parseToken(part, &optional)
		if err != nil {
			return nil, err
		}
		last := i == len(parts)-1
		switch {
		case t.kind == atEnd && !last:
			return nil, fmt.Errorf("- is the place after a list's last item, so nothing comes below it")
		case t.insert && !last:
			return nil, fmt.Errorf(":before and :after are places for a new item, so nothing comes below them")
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}

func parseToken(part string, optional *bool) (token, error) {
	t := token{text: part}
	name, modifiers, _ := strings.Cut(part, ":")
	if strings.HasSuffix(name, "?") {
		*optional = true
		name = strings.TrimSuffix(name, "?")
	}
	t.optional = *optional
	name = unescape.Replace(name)
	key, value, match := strings.Cut(name, "=")
	index, err := strconv.Atoi(name)
	switch {
	case name == "-":
		t.kind = atEnd
	case err == nil:
		t.kind, t.index = byIndex, index
	case match:
		t.kind, t.key, t.value = byMatch, key, value
	default:
		t.key = name
	}
	if modifiers == "" {
		return t, nil
	}
	if t.kind != byIndex && t.kind != byMatch {
		return token{}, fmt.Errorf(":%s may follow only what names an item of a list; write ~7 for a colon in a key", modifiers)
	}
	for modifier := range strings.SplitSeq(modifiers, ":") {
		switch modifier {
		case "prev":
			t.shift--
		case "next":
			t.shift++
		case "before", "after":
			t.insert, t.after = true, modifier == "after"
		default:
			return token{}, fmt.Errorf("%q is not understood: there are :before, :after, :prev and :next", ":"+modifier)
		}
	}
	return t, nil
}
