package ui_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

func TestConfirmTakesOnlyYes(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{
		"yes\n": true, "yes\r\n": true, "yes": true, "y\n": false, "YES\n": false, " yes\n": false, "\n": false,
	} {
		var out bytes.Buffer
		term := &ui.Terminal{In: strings.NewReader(answer), Err: &out}
		got, err := term.Confirm(t.Context(), "Are you sure?")
		if got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", answer, got, err, want)
		}
		if out.String() != "Are you sure? (type 'yes' to continue): " {
			t.Errorf("asked %q", out.String())
		}
	}
}

func TestConfirmWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	term := &ui.Terminal{In: strings.NewReader(""), Err: io.Discard}
	if ok, err := term.Confirm(t.Context(), "?"); ok || messages.CodeOf(err) != messages.CodeConfirmationNeeded {
		t.Errorf("got %v, %v", ok, err)
	}
	reader, writer := io.Pipe()
	defer writer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	term = &ui.Terminal{In: reader, Err: io.Discard}
	if ok, err := term.Confirm(ctx, "?"); ok || messages.CodeOf(err) != messages.CodeInterrupted {
		t.Errorf("got %v, %v", ok, err)
	}
}

func TestErrorHasItsHint(t *testing.T) {
	t.Parallel()
	err := messages.Errorf(messages.CodeUsage, "bad \x1b[2Jthing").WithHint("first\nsecond")
	var out bytes.Buffer
	(&ui.Terminal{Err: &out}).Error(err)
	if got, want := out.String(), "bad [2Jthing\nhint: first\nhint: second\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration][2]string{
		0:                            {"00:00:00", "<1ms"},
		1500 * time.Millisecond:      {"00:00:02", "1.5s"},
		59940 * time.Millisecond:     {"00:01:00", "59.9s"},
		3*time.Hour + 61*time.Second: {"03:01:01", "181m01s"},
	} {
		if got := [2]string{ui.Clock(d), ui.Short(d)}; got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	got := ui.Table([]string{"Name", "VM name"}, [][]string{{"micro", "n/a"}})
	want := "+-------+---------+\n| Name  | VM name |\n+-------+---------+\n| micro | n/a     |\n+-------+---------+\n"
	if got != want {
		t.Errorf("got\n%s", got)
	}
}
