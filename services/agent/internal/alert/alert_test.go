package alert_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/alert"
	"github.com/microbosh/microbosh/services/agent/internal/supervisor"
)

func TestSeverity(t *testing.T) {
	t.Parallel()
	for event, want := range map[string]int{
		"Does not exist": 1, "execution failed": 1, "timeout": 2, "size changed": 3, "PID changed": 4,
		"exists": 0, "connection succeeded": 0, "checksum not changed": 0, "something new": 2,
	} {
		if got := alert.Severity(event); got != want {
			t.Errorf("%s: got %d, want %d", event, got, want)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	got, ok := alert.New("a-1", time.Unix(7, 0), []string{"10.0.0.2", "10.0.0.1"},
		supervisor.Event{Service: "director", Event: "does not exist", Action: "restart", Summary: "process is not running"})
	want := messages.Alert{
		ID: "a-1", Severity: 1, Title: "director (10.0.0.1, 10.0.0.2) - does not exist - restart",
		Summary: "process is not running", CreatedAt: 7,
	}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Error(ok, diff)
	}
	if _, ok := alert.New("a-2", time.Unix(7, 0), nil, supervisor.Event{Event: "exists"}); ok {
		t.Error("a good event is an alert")
	}
}
