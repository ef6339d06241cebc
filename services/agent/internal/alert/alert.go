package alert

import (
	"sort"
	"strings"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/supervisor"
)

// Severities of monit's events; 0 is no alert.
const (
	ignored  = 0
	alert    = 1
	critical = 2
	failure  = 3
	warning  = 4
)

// Severity of a monit event. One that is not known is critical.
func Severity(event string) int {
	event = strings.ToLower(strings.TrimSpace(event))
	switch event {
	case "action done", "content match", "monit instance changed", "exists", "timeout recovery":
		return ignored
	case "connection failed", "execution failed", "monit instance failed", "does not exist":
		return alert
	case "checksum failed", "icmp failed", "pid failed", "ppid failed", "timeout", "uid failed":
		return critical
	case "connection changed", "content failed", "content doesn't match", "data access error",
		"filesystem flags failed", "gid failed", "heartbeat failed", "invalid type", "permission failed",
		"resource limit matched", "size failed", "size changed", "timestamp failed":
		return failure
	case "checksum changed", "data access changed", "execution changed", "filesystem flags changed",
		"gid changed", "heartbeat changed", "icmp changed", "type changed", "existence changed",
		"permission changed", "pid changed", "ppid changed", "resource limit changed", "timeout changed",
		"timestamp changed", "uid changed":
		return warning
	}
	if strings.HasSuffix(event, "succeeded") || strings.HasSuffix(event, "not changed") {
		return ignored
	}
	return critical
}

// New makes the alert of an event; false when there is none to send.
func New(id string, at time.Time, addresses []string, e supervisor.Event) (messages.Alert, bool) {
	severity := Severity(e.Event)
	if severity == ignored {
		return messages.Alert{}, false
	}
	title := e.Service
	if len(addresses) > 0 {
		sorted := append([]string(nil), addresses...)
		sort.Strings(sorted)
		title += " (" + strings.Join(sorted, ", ") + ")"
	}
	return messages.Alert{
		ID: id, Severity: severity, Title: title + " - " + e.Event + " - " + e.Action,
		Summary: e.Summary, CreatedAt: at.Unix(),
	}, true
}
