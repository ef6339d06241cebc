package alert

import (
	"net/mail"
	"strings"
	"time"

	"github.com/microbosh/microbosh/services/agent/internal/supervisor"
)

// Mail is an alert of monit's.
type Mail struct {
	ID   string
	At   time.Time // zero: it says nothing that can be read
	What supervisor.Event
}

// maxField bounds what is told on.
const maxField = 4 << 10

// ParseMail reads the lines that monit's mail-format makes; the first of a kind
// counts.
func ParseMail(text string) Mail {
	var m Mail
	for line := range strings.SplitSeq(text, "\n") {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		if len(value) > maxField {
			value = value[:maxField]
		}
		value = strings.ToValidUTF8(value, "?")
		var into *string
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "message-id":
			value, _, _ = strings.Cut(strings.Trim(value, "<>"), "@")
			into = &m.ID
		case "service":
			into = &m.What.Service
		case "event":
			into = &m.What.Event
		case "action":
			into = &m.What.Action
		case "description":
			into = &m.What.Summary
		case "date":
			// A mail has two dates, and the later one is the event's.
			if at, err := mail.ParseDate(value); err == nil {
				m.At = at
			}
			continue
		default:
			continue
		}
		if *into == "" {
			*into = value
		}
	}
	return m
}
