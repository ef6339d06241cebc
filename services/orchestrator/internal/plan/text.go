package plan

import (
	"fmt"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Text is the plan for people.
func (p Plan) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", p.Reason)
	for _, id := range p.Settles {
		fmt.Fprintf(&b, "First it finds out what became of %s, which an earlier run left open\n", id)
	}
	b.WriteString("\n")
	for _, i := range p.Items {
		b.WriteString(i.line() + "\n")
	}
	if p.Changes {
		fmt.Fprintf(&b, "\nSteps: %s\n", strings.Join(p.Steps, ", "))
	}
	if text := p.driftText(); text != "" {
		b.WriteString("\n" + text)
	}
	return b.String()
}

// Losses are the lines about what would be gone, "" when nothing would.
func (p Plan) Losses() string {
	var b strings.Builder
	for _, i := range p.Items {
		if i.Action == Destroy || i.Action == Recreate || i.Kind == KindDisk && i.CID != "" {
			b.WriteString(i.line() + "\n")
		}
	}
	return b.String()
}

func (i Item) line() string {
	line := fmt.Sprintf("  %-9s %-15s", i.Action, kindName(i.Kind))
	switch {
	case i.CID != "" && i.Why != "":
		line += " " + i.CID + ": " + i.Why
	case i.CID != "":
		line += " " + i.CID
	default:
		line += " " + i.Why
	}
	return strings.TrimRight(line, " ")
}

func (p Plan) driftText() string {
	switch {
	case p.Verb == messages.VerbCreate && !p.Seen:
		return "" // there is nothing that could have changed
	case !p.Seen:
		return "The cloud was not asked whether this is still so\n"
	case len(p.Drift) == 0:
		return "The cloud is as the journal tells it\n"
	}
	var b strings.Builder
	b.WriteString("The cloud is not as the journal tells it:\n")
	for _, f := range p.Drift {
		fmt.Fprintf(&b, "  %s %s %s\n", kindName(f.Kind), f.CID, f.Text)
		if f.Hint != "" {
			fmt.Fprintf(&b, "    hint: %s\n", f.Hint)
		}
	}
	return b.String()
}

func kindName(kind string) string {
	switch kind {
	case KindVM:
		return "VM"
	case KindDisk:
		return "persistent disk"
	default:
		return kind
	}
}
