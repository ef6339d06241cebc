package patch

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// Problem is what is wrong, and where. It tells names, never values.
type Problem struct {
	At   *yaml.Node
	Text string
}

func (p *Problem) Error() string { return p.Text }

func problem(at *yaml.Node, format string, args ...any) *Problem {
	return &Problem{At: at, Text: fmt.Sprintf(format, args...)}
}
