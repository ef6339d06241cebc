package ui

import (
	"fmt"
	"strings"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Failure is the end of a run that did not succeed.
type Failure struct {
	Verb    messages.Verb
	Outcome messages.Outcome
	Took    time.Duration
	Step    string // "" = before the first one
	Error   *messages.Error
	Left    []Left // in the cloud
	Next    []Next // what to type, the likeliest first
}

// Left is something that a failed run leaves in the cloud.
type Left struct {
	Kind string `json:"kind"`
	CID  string `json:"cid,omitempty"`
	Note string `json:"note,omitempty"`
}

// Next is a command and what it does.
type Next struct {
	Command string `json:"command"`
	About   string `json:"about"`
}

// Failure prints why a run did not succeed, what it leaves behind and what to
// type next.
func (t *Terminal) Failure(f Failure) {
	if t.JSON {
		t.object(struct {
			Type    string           `json:"type"` // error
			Error   *messages.Error  `json:"error"`
			Verb    messages.Verb    `json:"verb"`
			Outcome messages.Outcome `json:"outcome"`
			Step    string           `json:"step,omitempty"`
			Left    []Left           `json:"left"`
			Next    []Next           `json:"next"`
		}{"error", f.Error, f.Verb, f.Outcome, f.Step, append([]Left{}, f.Left...), append([]Next{}, f.Next...)})
		return
	}
	for i, line := range f.lines() {
		if i == 1 {
			line = t.red(line)
		}
		_, _ = fmt.Fprintln(t.Err, line)
	}
	t.hint(f.Error)
}

// lines are the failure for people, but for its hint.
func (f Failure) lines() []string {
	how := "failed"
	switch f.Outcome {
	case messages.OutcomeNeedsAttention:
		how = "needs attention"
	case messages.OutcomeCancelled:
		how = "was cancelled"
	}
	out := []string{fmt.Sprintf("microbosh: the %s %s, after %s", f.Verb, how, Clock(f.Took))}
	causes := Causes(f.Error.Message)
	out = append(out, causes[0])
	for _, cause := range causes[1:] {
		out = append(out, "  because "+cause)
	}
	out = append(out, "", "  code  "+string(f.Error.Code))
	if f.Step != "" {
		out = append(out, "  step  "+f.Step)
	}
	out = append(out, column("left", f.left())...)
	width := 0
	for _, n := range f.Next {
		width = max(width, columns(n.Command))
	}
	var next []string
	for _, n := range f.Next {
		next = append(next, n.Command+strings.Repeat(" ", width-columns(n.Command))+"  "+n.About)
	}
	out = append(out, column("next", next)...)
	return append(out, "")
}

func (f Failure) left() []string {
	if len(f.Left) == 0 {
		return []string{"nothing in the cloud"}
	}
	var out []string
	for _, l := range f.Left {
		out = append(out, join(l.Kind+" "+l.CID, l.Note))
	}
	return out
}

// column puts a word before the first of some lines.
func column(word string, lines []string) []string {
	var out []string
	for i, line := range lines {
		if i > 0 {
			word = "    "
		}
		out = append(out, strings.TrimRight("  "+word+"  "+Printable(line), " "))
	}
	return out
}

// Causes takes a message apart into what could not be done and why: this
// project's errors are `cannot <verb> <object>: <cause>`, nested. What else
// there is, and further lines like those of a console, stay as they are.
func Causes(message string) []string {
	first, rest, more := strings.Cut(Printable(message), "\n")
	var out []string
	for strings.HasPrefix(first, "cannot ") {
		doing, why, nested := strings.Cut(first, ": ")
		if !nested {
			break
		}
		out, first = append(out, doing), why
	}
	if more {
		first += "\n" + rest
	}
	return append(out, first)
}
