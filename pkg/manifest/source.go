package manifest

import "gopkg.in/yaml.v3"

// lineSpan is more than the lines of any file that is read.
const lineSpan = 2 * maxFile

// sources are the files that a tree comes from. Their lines are numbered on
// end, a span each, so that a node tells its file wherever it is moved or copied
// to.
type sources []string

// add takes a file in and renumbers its nodes.
func (s *sources) add(file string, root *yaml.Node) {
	first := len(*s) * lineSpan
	*s = append(*s, file)
	if first > 0 {
		shift(root, first)
	}
}

func shift(n *yaml.Node, by int) {
	n.Line += by
	for _, child := range n.Content {
		shift(child, by)
	}
}

// place is where a numbered line is.
func (s sources) place(line int) (file string, in int) {
	return s[line/lineSpan], line % lineSpan
}
