package ui

import "strings"

// Wrap breaks a paragraph into lines of a width, each with an indent. A word
// longer than a line keeps its own.
func Wrap(s, indent string, width int) string {
	var b strings.Builder
	used := 0
	for _, word := range strings.Fields(s) {
		switch {
		case used == 0:
			b.WriteString(indent + word)
			used = len(indent) + columns(word)
		case used+1+columns(word) > width:
			b.WriteString("\n" + indent + word)
			used = len(indent) + columns(word)
		default:
			b.WriteString(" " + word)
			used += 1 + columns(word)
		}
	}
	b.WriteString("\n")
	return b.String()
}
