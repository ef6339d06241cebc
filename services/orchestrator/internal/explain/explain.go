package explain

import (
	"strings"

	"github.com/microbosh/microbosh/docs"
	"github.com/microbosh/microbosh/pkg/messages"
)

// Page tells about one code, in plain text. A paragraph is one line.
type Page struct {
	Code messages.Code `json:"code"`
	What string        `json:"what_happened"`
	Why  string        `json:"why"`
	Do   string        `json:"what_to_do"`
}

// Pages are all there are, in the order of the codes.
func Pages() []Page {
	var out []Page
	for _, section := range strings.Split(docs.Errors, "\n## ")[1:] {
		code, body, _ := strings.Cut(section, "\n")
		p := Page{Code: messages.Code(code)}
		for paragraph := range strings.SplitSeq(body, "\n\n") {
			label, text, _ := strings.Cut(strings.TrimSpace(paragraph), "** ")
			text = strings.ReplaceAll(text, "\n", " ")
			switch label {
			case "**What happened.":
				p.What = text
			case "**Why.":
				p.Why = text
			case "**What to do.":
				p.Do = text
			}
		}
		out = append(out, p)
	}
	return out
}

// Find gives the page of a code.
func Find(code messages.Code) (Page, bool) {
	for _, p := range Pages() {
		if p.Code == code {
			return p, true
		}
	}
	return Page{}, false
}
