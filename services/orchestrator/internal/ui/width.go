package ui

import (
	"fmt"
	"strings"
	"unicode"
)

// Size writes a number of bytes as people read it.
func Size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n)/unit, "KMGTPE"
	for value >= unit && len(units) > 1 {
		value, units = value/unit, units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, units[0])
}

// columns is how many columns of a terminal a text takes.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// runeColumns is 2 for the scripts that are written wide, 0 for what is drawn
// over the rune before.
func runeColumns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 ||
		r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 ||
		r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300 && r <= 0x1faff || r >= 0x20000 && r <= 0x3fffd):
		return 2
	default:
		return 1
	}
}

// oneLine makes a single line of a text from elsewhere, to be read only.
func oneLine(s string) string { return strings.Join(strings.Fields(Printable(s)), " ") }

// cut shortens a line to a width and shows that it did.
func cut(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	dots := "..."
	if width < 2*len(dots) {
		dots = ""
	}
	n := 0
	for i, r := range s {
		if n += runeColumns(r); n > width-len(dots) {
			return s[:i] + dots
		}
	}
	return s
}

// fit puts right behind left, which is shortened when there is no room for
// both; what is more important stands on the right.
func fit(left string, width int, right string) string {
	room := width - columns(right) - 2
	if room < 6 {
		return cut(left, width)
	}
	return cut(left, room) + "  " + right
}
