package doctor

import (
	"fmt"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Report is everything that was looked at, in that order.
type Report struct {
	Checks  []Check             `json:"checks"`
	Orphans []messages.Resource `json:"orphans,omitempty"` // what a sweep would delete
}

// Check is one thing that was looked at. Without findings and not skipped it is
// well.
type Check struct {
	Name     string    `json:"name"`
	About    string    `json:"about,omitempty"`   // what was seen, in words
	Skipped  string    `json:"skipped,omitempty"` // why it was not looked at
	Findings []Finding `json:"findings,omitempty"`
}

// Finding is one thing that is not as it should be.
type Finding struct {
	Code messages.Code `json:"code,omitempty"` // of the error that told it
	Text string        `json:"text"`
	Hint string        `json:"hint,omitempty"`
}

// Failed is the finding that something could not even be looked at.
func Failed(name string, err error) Check {
	return Check{Name: name, Findings: []Finding{found(err)}}
}

// Skipped is a check that was not made.
func Skipped(name, why string) Check { return Check{Name: name, Skipped: why} }

func found(err error) Finding {
	e := messages.AsError(err)
	return Finding{Code: e.Code, Text: e.Message, Hint: e.Hint}
}

func (c *Check) add(text, hint string) {
	c.Findings = append(c.Findings, Finding{Text: text, Hint: hint})
}

// Add adds checks to the report.
func (r *Report) Add(checks ...Check) { r.Checks = append(r.Checks, checks...) }

// Found counts the findings.
func (r Report) Found() int {
	n := 0
	for _, c := range r.Checks {
		n += len(c.Findings)
	}
	return n
}

// Text is the report for people: a line for each check, below it what was found
// and its fix.
func (r Report) Text() string {
	var b strings.Builder
	for _, c := range r.Checks {
		verdict, about := "ok", c.About
		switch {
		case len(c.Findings) > 0:
			verdict = "found"
		case c.Skipped != "":
			verdict, about = "-", c.Skipped
		}
		b.WriteString(strings.TrimRight(fmt.Sprintf("%-12s  %-5s  %s", c.Name, verdict, about), " ") + "\n")
		for _, f := range c.Findings {
			fmt.Fprintf(&b, "  %s\n", f.Text)
			for line := range strings.SplitSeq(f.Hint, "\n") {
				if line != "" {
					fmt.Fprintf(&b, "    hint: %s\n", line)
				}
			}
		}
	}
	switch n := r.Found(); n {
	case 0:
		b.WriteString("\nNothing found\n")
	case 1:
		b.WriteString("\n1 finding\n")
	default:
		fmt.Fprintf(&b, "\n%d findings\n", n)
	}
	return b.String()
}
