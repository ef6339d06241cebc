package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

// How often the cloud is asked for a console: it tells nobody that there is more.
const (
	consolePause   = time.Second
	consoleLongest = 5 * time.Second
)

// followConsole prints a console as it grows, until Ctrl-C or the VM's end.
// Only whole lines are printed: half a secret could not be cut out.
func (a *app) followConsole(ctx context.Context, read func(context.Context) (string, error), vm string) error {
	var seen []string
	trouble := ""
	for pause := consolePause; ; pause = min(2*pause, consoleLongest) {
		output, err := read(ctx)
		switch {
		case ctx.Err() != nil:
			return exitError(exitInterrupted) // the way it ends
		case messages.CodeOf(err) == messages.CodeCloudNotFound:
			a.ui.Result(fmt.Sprintf("The VM %s is gone", vm), map[string]any{"vm": vm, "gone": true})
			return nil
		case passes(err):
			if err.Error() != trouble {
				a.ui.Say("microbosh: %s; trying on", ui.Printable(err.Error()))
			}
			trouble = err.Error()
		case err != nil:
			return err
		default:
			trouble = ""
			now := wholeLines(output)
			if more := unseen(seen, now); len(more) > 0 {
				text := strings.Join(more, "\n") + "\n"
				a.ui.Part(text, map[string]string{"vm": vm, "output": text})
				pause = consolePause / 2
			}
			seen = now
		}
		if poll.Pause(ctx, pause) != nil {
			return exitError(exitInterrupted)
		}
	}
}

// passes tells whether the next look may succeed.
func passes(err error) bool {
	switch messages.CodeOf(err) {
	case messages.CodeCloudTransient, messages.CodeCloudUnreachable, messages.CodeNoService, messages.CodeBusUnreachable:
		return true
	}
	return false
}

// wholeLines are those that have ended.
func wholeLines(output string) []string {
	end := strings.LastIndexByte(output, '\n')
	if end < 0 {
		return nil
	}
	return strings.Split(output[:end], "\n")
}

// unseen are the lines of now behind those that were seen: a console is told by
// its last lines, so what was seen first may be gone from it.
func unseen(seen, now []string) []string {
	for k := range seen {
		if rest := seen[k:]; len(rest) <= len(now) && slices.Equal(rest, now[:len(rest)]) {
			return now[len(rest):]
		}
	}
	return now
}
