package ui

import (
	"io"
	"time"
)

// live shows a run on a terminal: what has ended as plain lines, below them what
// is under way.
type live struct {
	plain  *plain
	view   View
	screen *screen
	t      *Terminal
	err    io.Writer // the terminal's own
	now    time.Time // of the last tick, ahead of which no message is shown
}

func newLive(t *Terminal, footer string) *live {
	l := &live{t: t, err: t.Err, screen: &screen{out: t.Err, size: t.Size}, view: View{Footer: footer}}
	t.Err = l.screen
	l.plain = &plain{t: t}
	return l
}

func (l *live) Show(line Line) {
	if line.Kind != KindProgress {
		l.plain.Show(line)
	}
	l.view.Fold(line)
	if line.Time.After(l.now) {
		l.now = line.Time
	}
	l.draw()
}

func (l *live) Tick(now time.Time) {
	l.now = now
	l.draw()
}

func (l *live) Lost() { l.screen.forget() }

func (l *live) Close() {
	l.screen.show(nil)
	l.t.Err = l.err
}

func (l *live) draw() {
	width, _ := l.t.Size()
	// The last column is left free: some terminals wrap as soon as it is full.
	l.screen.show(l.view.Render(l.now, width-1))
}
