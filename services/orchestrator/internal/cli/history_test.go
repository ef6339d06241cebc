package cli

import (
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

func TestHistoryText(t *testing.T) {
	t.Parallel()
	got := historyText([]messages.RunEnd{
		{Verb: messages.VerbCreate, Outcome: messages.OutcomeFailed, Step: "create_vm", Error: messages.Errorf(messages.CodeCloudQuota, "no\x1b[2Jroom")},
		{Verb: messages.VerbUpdate, Outcome: messages.OutcomeSkipped, Message: "nothing changed", Millis: 61000},
	})
	for _, want := range []string{"failed", "create_vm", "skipped", "nothing changed", "00:01:01"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "\x1b") {
		t.Error("a control character reaches the terminal")
	}
}
