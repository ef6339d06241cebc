package ui_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

// begun shows a story up to a step that has begun, and gives the renderer.
func begun(term *ui.Terminal) ui.Renderer {
	show := term.Renderer("Ctrl-C detaches")
	story := ui.NewStory(run, messages.VerbCreate)
	for _, l := range story.Fact(run, dawn, messages.StepIntended{Step: "wait_agent", StepID: messages.StepID("abcdefgh", "wait_agent", 1)}) {
		show.Show(l)
	}
	return show
}

func TestLiveDrawsOverWhatChanges(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	width := 80
	term := &ui.Terminal{Err: &out, Size: func() (int, int) { return width, 24 }}
	show := begun(term)
	first := "  waiting for the agent  00:00:00\n  Ctrl-C detaches\r"
	if !strings.HasSuffix(out.String(), "\nDeploy Micro BOSH\n"+first) {
		t.Fatalf("first drawn: %q", out.String())
	}
	drawn := func(what string, do func(), want string) {
		t.Helper()
		out.Reset()
		do()
		if got := out.String(); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	const second = "  waiting for the agent  00:00:01\n  Ctrl-C detaches\r"
	drawn("a second later", func() { show.Tick(dawn.Add(time.Second)) }, "\r\x1b[1A\x1b[J"+second)
	drawn("the same second", func() { show.Tick(dawn.Add(time.Second)) }, "")
	drawn("a message", func() { term.Say("microbosh: hello") }, "\r\x1b[1A\x1b[Jmicrobosh: hello\n"+second)
	// The terminal has wrapped the first line into two.
	drawn("narrower", func() { width = 30; show.Tick(dawn.Add(time.Second)) }, "\r\x1b[2A\x1b[J  waiting for th...  00:00:01\n  Ctrl-C detaches\r")
	drawn("after a stop", func() { show.Lost(); show.Tick(dawn.Add(time.Second)) }, "  waiting for th...  00:00:01\n  Ctrl-C detaches\r")
	drawn("the end", show.Close, "\r\x1b[1A\x1b[J")
	drawn("after the end", func() { term.Say("bye") }, "bye\n")
}

func TestPlainSaysThatItIsAlive(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	show := begun(&ui.Terminal{Err: &out})
	out.Reset()
	for second := range 130 {
		show.Tick(dawn.Add(time.Duration(second) * time.Second))
	}
	want := "    waiting for the agent: still at it (1m00s)\n    waiting for the agent: still at it (2m00s)\n"
	if out.String() != want {
		t.Errorf("said %q, want %q", out.String(), want)
	}
}

func TestDumbTerminalAndPipesAreDrawnPlainly(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	show := begun(&ui.Terminal{Err: &out})
	show.Tick(dawn.Add(time.Second))
	show.Close()
	if strings.ContainsAny(out.String(), "\x1b\r") {
		t.Errorf("drawn: %q", out.String())
	}
}
