package ui

import (
	"fmt"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Renderer shows the lines of a story as they come. One goroutine uses it.
type Renderer interface {
	Show(Line)
	Tick(now time.Time) // time passes, about once a second
	Lost()              // something else was written to the terminal
	Close()             // the story has ended, or is left
}

var (
	_ Renderer = (*plain)(nil)
	_ Renderer = (*jsonLines)(nil)
	_ Renderer = (*live)(nil)
)

// Renderer gives the one that suits the terminal; footer says what a person can
// do meanwhile. Close it before anything else is written to t.
func (t *Terminal) Renderer(footer string) Renderer {
	switch {
	case t.JSON:
		return &jsonLines{t: t}
	case t.Size != nil:
		return newLive(t, footer)
	default:
		return &plain{t: t}
	}
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

	step  *Line     // under way
	waits string    // what it said last that it waits for
	since time.Time // of the first tick without a line
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
		p.step, p.waits, p.since = &l, "", time.Time{}
	}
	if l.Kind == KindFinished || l.Kind == KindFailed || l.Kind == KindDone {
		p.step = nil
	}
}

// Tick says from time to time what a step that says nothing new waits for: who
// reads a log wants to know that it is alive.
func (p *plain) Tick(now time.Time) {
	if p.since.IsZero() {
		p.since = now
	}
	if p.step == nil || now.Sub(p.since) < longQuiet {
		return
	}
	waits := p.waits
	if waits == "" {
		waits = "still at it"
	}
	p.since = now
	p.printf("    %s: %s (%s)", downcased(p.step.Task), Printable(waits), Short(max(0, now.Sub(p.step.Time))))
}

// Lost is no matter: nothing is drawn over.
func (p *plain) Lost() {}

// Close has nothing to remove.
func (p *plain) Close() {}

func (p *plain) progress(l Line) {
	text := l.Text
	if l.Total > 0 {
		text = fmt.Sprintf("%s %d%%", text, 100*l.Done/l.Total)
	}
	p.waits = text
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
	p.printf(format, args...)
	p.since = time.Time{}
}

func (p *plain) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(p.t.Err, format+"\n", args...)
}

// jsonLines prints each line as one object.
type jsonLines struct{ t *Terminal }

func (j *jsonLines) Show(l Line) { j.t.object(l) }

// Tick tells programs nothing: they have a clock.
func (j *jsonLines) Tick(time.Time) {}

// Lost is no matter: nothing is drawn over.
func (j *jsonLines) Lost() {}

// Close has nothing to remove.
func (j *jsonLines) Close() {}
