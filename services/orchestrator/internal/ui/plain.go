package ui

import (
	"fmt"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Renderer prints the lines of a story as they come.
type Renderer interface {
	Show(Line)
}

var (
	_ Renderer = (*plain)(nil)
	_ Renderer = (*jsonLines)(nil)
)

// Renderer gives the one that suits the terminal.
func (t *Terminal) Renderer() Renderer {
	if t.JSON {
		return &jsonLines{t: t}
	}
	return &plain{t: t}
}

// quiet is how long a step may say nothing in a log before its progress is
// worth a line; longQuiet before the same progress is.
const (
	quiet     = 5 * time.Second
	longQuiet = time.Minute
)

// plain prints a line for each finished step, as BOSH did, and a word about
// those that take long.
type plain struct {
	t    *Terminal
	last time.Time // of the last line, by the messages' own time
	text string    // last progress shown
}

func (p *plain) Show(l Line) {
	switch l.Kind {
	case KindStage:
		p.print(l, "\n%s", l.Stage)
	case KindReason:
		p.print(l, "%s", Printable(l.Text))
	case KindNote:
		p.print(l, "  %s", Printable(l.Text))
	case KindFinished:
		p.print(l, "  %s (%s)", p.t.green(downcased(l.Task)), Short(l.Took))
	case KindFailed:
		p.print(l, "  %s (%s)", p.t.red(downcased(l.Task)+" failed"), Short(l.Took))
	case KindProgress:
		p.progress(l)
	case KindDone:
		if l.Stage != "" && l.Outcome == messages.OutcomeSucceeded {
			p.print(l, "%s  %s\n", p.t.green("Done"), Clock(l.Took))
		}
	case KindStarted:
		p.last, p.text = l.Time, ""
	}
}

func (p *plain) progress(l Line) {
	text := l.Text
	if l.Total > 0 {
		text = fmt.Sprintf("%s %d%%", text, 100*l.Done/l.Total)
	}
	silent := l.Time.Sub(p.last)
	if text == "" || silent < quiet || text == p.text && silent < longQuiet {
		return
	}
	p.text = text
	p.print(l, "    %s: %s (%s)", downcased(l.Task), Printable(text), Short(l.Took))
}

func (p *plain) print(l Line, format string, args ...any) {
	if !l.Time.IsZero() {
		p.last = l.Time
	}
	_, _ = fmt.Fprintf(p.t.Err, format+"\n", args...)
}

// jsonLines prints each line as one object.
type jsonLines struct{ t *Terminal }

func (j *jsonLines) Show(l Line) { j.t.object(l) }
