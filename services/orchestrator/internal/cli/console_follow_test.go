package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

// Each line is printed once, also when the cloud shows only the last ones; a
// line that has not ended waits, and the VM's end ends it.
func TestFollowConsole(t *testing.T) {
	t.Parallel()
	looks := []struct {
		output string
		err    error
	}{
		{"one\ntw", nil},
		{"one\ntwo\nthree\n", nil},
		{"", messages.Errorf(messages.CodeCloudTransient, "busy")},
		{"", messages.Errorf(messages.CodeCloudTransient, "busy")},
		{"two\nthree\nfour\n", nil},
		{"nine\n", nil},
		{"", messages.Errorf(messages.CodeCloudNotFound, "no such server")},
	}
	var out, said bytes.Buffer
	a := &app{ui: &ui.Terminal{Out: &out, Err: &said}}
	n := 0
	err := a.followConsole(t.Context(), func(context.Context) (string, error) {
		look := looks[n]
		n++
		return look.output, look.err
	}, "vm-1")
	if err != nil {
		t.Fatal(err)
	}
	if want := "one\ntwo\nthree\nfour\nnine\nThe VM vm-1 is gone\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	if strings.Count(said.String(), "busy") != 1 {
		t.Errorf("said %q", said.String())
	}
}

func TestFollowConsoleEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	a := &app{ui: &ui.Terminal{Out: &out, Err: &out}}
	err := a.followConsole(ctx, func(context.Context) (string, error) {
		cancel()
		return "", ctx.Err()
	}, "vm-1")
	if !errors.Is(err, exitError(exitInterrupted)) {
		t.Errorf("ended with %v", err)
	}
}
