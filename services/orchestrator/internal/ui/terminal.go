package ui

// The rules of the terminal:
//
//   - What was asked for goes to stdout; progress, warnings and errors go to
//     stderr. With --json all of it goes to stdout, one object per line, and the
//     last one tells the result or the error.
//   - BOSH's own sentences stay as they were. Everything else is lower case,
//     without a full stop, and begins with "microbosh: " when it is about the
//     program rather than the deployment.
//   - An error says what failed and why; "hint: " lines say what to do.
//   - A question is asked on stderr and answered on stdin. Without --yes and
//     without an answer nothing happens.
//   - Colour only on a terminal and without NO_COLOR. What changes on the screen is
//     drawn only on a terminal that is not dumb, at its end; everything that has
//     happened stays above it as a plain line, as it would in a log.

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Terminal is where a command reads and writes. One goroutine uses it at a
// time.
type Terminal struct {
	In     io.Reader
	Out    io.Writer
	Err    io.Writer
	JSON   bool // one object per line on Out, nothing on Err
	Colour bool

	// Size is that of the terminal behind Err; nil when there is none on which
	// lines can be drawn over.
	Size func() (columns, rows int)
}

// Say prints a sentence for people.
func (t *Terminal) Say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if t.JSON {
		t.object(struct {
			Type string `json:"type"`
			Text string `json:"text"`
		}{"message", text})
		return
	}
	_, _ = fmt.Fprintln(t.Err, text)
}

// Result prints what was asked for: text for people, value for programs.
func (t *Terminal) Result(text string, value any) {
	if t.JSON {
		t.value("result", value)
		return
	}
	_, _ = fmt.Fprintln(t.Out, strings.TrimSuffix(text, "\n"))
}

// Part prints some of a result that comes in parts: text as it is.
func (t *Terminal) Part(text string, value any) {
	if t.JSON {
		t.value("part", value)
		return
	}
	_, _ = fmt.Fprint(t.Out, text)
}

// Problem is a finding for programs: a line of its own before the error that
// tells them all to people.
func (t *Terminal) Problem(value any) {
	t.value("problem", value)
}

// value is a line with some of what was asked for.
func (t *Terminal) value(kind string, value any) {
	t.object(struct {
		Type  string `json:"type"`
		Value any    `json:"value"`
	}{kind, value})
}

// Error prints err and what to do about it.
func (t *Terminal) Error(err error) {
	e := messages.AsError(err)
	if t.JSON {
		t.object(struct {
			Type  string          `json:"type"`
			Error *messages.Error `json:"error"`
		}{"error", e})
		return
	}
	_, _ = fmt.Fprintln(t.Err, t.red(Printable(e.Message)))
	t.hint(e)
	if e.Code != messages.CodeUsage && e.Code != messages.CodeInterrupted { // which say all themselves
		_, _ = fmt.Fprintf(t.Err, "code: %s (microbosh explain %s)\n", e.Code, e.Code)
	}
}

func (t *Terminal) hint(e *messages.Error) {
	if e.Hint == "" {
		return
	}
	for line := range strings.SplitSeq(e.Hint, "\n") {
		_, _ = fmt.Fprintln(t.Err, "hint: "+Printable(line))
	}
}

// Confirm asks; only the exact answer yes counts. No answer at all is an error,
// and so is the end of ctx.
func (t *Terminal) Confirm(ctx context.Context, question string) (bool, error) {
	_, _ = fmt.Fprintf(t.Err, "%s (type 'yes' to continue): ", question)
	type reply struct {
		text string
		err  error
	}
	// Reading a terminal cannot be interrupted: after ctx the reader is left
	// behind, and the process ends soon.
	answered := make(chan reply, 1)
	go func() {
		text, err := bufio.NewReader(io.LimitReader(t.In, 1024)).ReadString('\n')
		answered <- reply{text, err}
	}()
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(t.Err)
		return false, messages.Errorf(messages.CodeInterrupted, "interrupted")
	case r := <-answered:
		if r.err == nil || r.text != "" {
			return strings.TrimRight(r.text, "\r\n") == "yes", nil
		}
		_, _ = fmt.Fprintln(t.Err)
		if errors.Is(r.err, io.EOF) {
			return false, messages.Errorf(messages.CodeConfirmationNeeded, "nobody answers the question").
				WithHint("say --yes when it is meant")
		}
		return false, fmt.Errorf("cannot read the answer: %w", r.err)
	}
}

func (t *Terminal) object(v any) {
	enc := json.NewEncoder(t.Out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}

func (t *Terminal) red(s string) string   { return t.paint("31", s) }
func (t *Terminal) green(s string) string { return t.paint("32", s) }

func (t *Terminal) paint(colour, s string) string {
	if !t.Colour {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// Missing stands for a value that there is not.
func (t *Terminal) Missing() string { return t.red("n/a") }
