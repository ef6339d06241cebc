package manifest

import (
	"errors"
	"fmt"
	"strings"
)

// Problem is something wrong in a manifest, or in what changes it. Lines and
// columns begin with 1. Text tells no values that may be secret.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column,omitempty"` // 0: the YAML cannot be read, only the line is known
	Text   string `json:"text"`
}

func (p Problem) String() string {
	if p.Column == 0 {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
}

// Problems are all that is wrong. As an error they are a line each, not too
// many.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, 0, len(p))
	for i, problem := range p {
		if i == maxProblems {
			lines = append(lines, "and more")
			break
		}
		lines = append(lines, problem.String())
	}
	return strings.Join(lines, "\n")
}

// ProblemsOf gives the problems behind an error of Load, none when it was not
// about the content.
func ProblemsOf(err error) []Problem {
	var p Problems
	errors.As(err, &p)
	return p
}
