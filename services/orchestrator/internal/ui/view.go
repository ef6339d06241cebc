package ui

import (
	"fmt"
	"strings"
	"time"
)

// rateOver is how far back the rate of a transfer looks.
const rateOver = 10 * time.Second

// View is what of a run is under way: the part of the screen that changes. Lines
// are folded in, Render gives what there is to see at a moment. It has no clock
// and knows no terminal.
type View struct {
	Footer string // what the keys do, in words

	began   time.Time // of the first line
	step    *Line     // under way
	text    string    // what it waits for
	done    int64     // bytes
	total   int64
	samples []sample
}

// sample is how far a transfer was.
type sample struct {
	at   time.Time
	done int64
}

// Fold takes the next line of the story.
func (v *View) Fold(l Line) {
	if v.began.IsZero() {
		v.began = l.Time
	}
	switch l.Kind {
	case KindStarted:
		step := l
		v.step = &step
		v.text, v.done, v.total, v.samples = "", 0, 0, nil
	case KindProgress:
		v.progress(l)
	case KindFinished, KindFailed:
		if v.step != nil && l.StepID == v.step.StepID {
			v.step = nil
		}
	case KindDone:
		v.step = nil
	}
}

func (v *View) progress(l Line) {
	if v.step == nil || l.StepID != v.step.StepID {
		return
	}
	if l.Done < v.done { // begun again
		v.samples = nil
	}
	v.text, v.done, v.total = l.Text, l.Done, l.Total
	if l.Done == 0 {
		return
	}
	v.samples = append(v.samples, sample{l.Time, l.Done})
	for len(v.samples) > 2 && l.Time.Sub(v.samples[0].at) > rateOver {
		v.samples = v.samples[1:]
	}
}

// Render gives the lines to see at a moment, each of at most width columns:
// the step under way and for how long, how far its bytes are, what it waits for,
// and the footer. Nothing is under way: nothing is seen.
func (v *View) Render(now time.Time, width int) []string {
	if v.step == nil || width < 1 {
		return nil
	}
	out := []string{fit("  "+oneLine(downcased(v.step.Task)), width, Clock(max(0, now.Sub(v.step.Time))))}
	if bytes := v.bytes(width - 4); bytes != "" {
		out = append(out, cut("    "+bytes, width))
	}
	if v.text != "" && v.done == 0 { // beside the bytes it says what the step does
		out = append(out, cut("    "+oneLine(v.text), width))
	}
	if v.Footer != "" {
		out = append(out, cut("  "+v.Footer, width))
	}
	return out
}

// bytes says how far a transfer is, as fully as there is room.
func (v *View) bytes(width int) string {
	if v.done == 0 {
		return ""
	}
	rate := v.rate()
	if v.total <= 0 {
		return longest(width, join(Size(v.done), speed(rate)), Size(v.done))
	}
	percent := fmt.Sprintf("%3d%%", min(100, 100*v.done/v.total))
	eta := "ETA --:--:--"
	if rate > 0 {
		eta = "ETA " + Clock(time.Duration(float64(v.total-v.done)/rate*float64(time.Second)))
	}
	text := longest(width-shortBar,
		join(percent, Size(v.done)+" of "+Size(v.total), speed(rate), eta),
		join(percent, speed(rate), eta),
		join(percent, eta),
		percent,
	)
	room := min(longBar, width-columns(text)-len("||  "))
	if room < shortBar/2 {
		return strings.TrimSpace(percent)
	}
	filled := int(int64(room) * min(v.done, v.total) / v.total)
	return "|" + strings.Repeat("o", filled) + strings.Repeat(" ", room-filled) + "|  " + text
}

// How long a bar is.
const (
	shortBar = 14
	longBar  = 40
)

// rate is in bytes a second, 0 when it is not known yet.
func (v *View) rate() float64 {
	if len(v.samples) < 2 {
		return 0
	}
	first, last := v.samples[0], v.samples[len(v.samples)-1]
	took := last.at.Sub(first.at).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(last.done-first.done) / took
}

func speed(rate float64) string {
	if rate <= 0 {
		return ""
	}
	return Size(int64(rate)) + "/s"
}

func join(parts ...string) string {
	var full []string
	for _, p := range parts {
		if p != "" {
			full = append(full, p)
		}
	}
	return strings.Join(full, "  ")
}

// longest is the first of the texts that fits, else the last.
func longest(width int, texts ...string) string {
	for _, t := range texts {
		if columns(t) <= width {
			return t
		}
	}
	return texts[len(texts)-1]
}
