package ui

import (
	"strings"
	"unicode"
)

// Printable drops what could move the cursor or change colours: text comes from
// clouds, agents and consoles, and is only to be read.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r):
			return -1
		default:
			return r
		}
	}, s)
}
