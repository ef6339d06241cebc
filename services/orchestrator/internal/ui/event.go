package ui

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// event is a fact or an event as a program reads it.
type event struct {
	Type   string          `json:"type"` // event
	Time   time.Time       `json:"time"`
	Name   string          `json:"name"` // of the fact or event
	Source string          `json:"source"`
	Run    string          `json:"run,omitempty"`
	StepID string          `json:"step_id,omitempty"`
	Data   json.RawMessage `json:"data"`
}

// Event prints a fact of a journal or an event as one line of the result.
func (t *Terminal) Event(e messages.Envelope) {
	name := e.TypeName(messages.ClassFact)
	if name == "" {
		name = e.TypeName(messages.ClassEvent)
	}
	if t.JSON {
		t.object(event{"event", e.Time, name, e.Source, e.Run, e.Step, e.Data})
		return
	}
	text := eventText(name, e)
	if e.Step != "" {
		text = e.Step + " " + text
	}
	line := fmt.Sprintf("%s  %-16s %s", e.Time.Local().Format(time.DateTime), name, cut(oneLine(text), maxEvent))
	_, _ = fmt.Fprintln(t.Out, strings.TrimRight(line, " "))
}

// maxEvent is how much of an event is shown to people.
const maxEvent = 400

// eventText says in words what an event tells, "" when its name says it all.
func eventText(name string, e messages.Envelope) string {
	switch name {
	case messages.FactRunClaimed:
		c := body[messages.RunClaimed](e)
		text := fmt.Sprintf("%s %s by %s", c.Verb, e.Run, c.Owner)
		if c.RequestedBy != "" {
			text += ", asked for by " + c.RequestedBy
		}
		return text
	case messages.FactStepIntended:
		return body[messages.StepIntended](e).Why
	case messages.FactStepDone:
		return "(" + millis(body[messages.StepDone](e).Millis) + ")"
	case messages.FactStepFailed:
		f := body[messages.StepFailed](e)
		return errorText(f.Error) + " (" + millis(f.Millis) + ")"
	case messages.FactCancelRequested:
		return "by " + body[messages.CancelRequested](e).By
	case messages.FactRunDone:
		d := body[messages.RunDone](e)
		text := fmt.Sprintf("%s %s", d.Verb, d.Outcome)
		if why := join(d.Message, errorText(d.Error)); why != "" {
			text += ": " + why
		}
		return text + " (" + millis(d.Millis) + ")"
	case messages.EventProgress:
		p := body[messages.Progress](e)
		switch {
		case p.Total > 0:
			return fmt.Sprintf("%s: %s of %s", p.Message, Size(p.Done), Size(p.Total))
		case p.Done > 0:
			return p.Message + ": " + Size(p.Done)
		default:
			return p.Message
		}
	case messages.EventExchange:
		x := body[messages.Exchange](e)
		text := "agent " + x.AgentID + " was asked: " + x.Method
		if !x.OK {
			text += " " + join("without success", x.Error)
		}
		return text + " (" + millis(x.Millis) + ")"
	case messages.EventRunClosed:
		c := body[messages.RunClosed](e)
		return fmt.Sprintf("%s %s: %s", c.Verb, c.Run, c.Outcome)
	default:
		return ""
	}
}

func body[T any](e messages.Envelope) T {
	var v T
	_ = e.Into(&v) // what cannot be read says nothing
	return v
}

func millis(n int64) string { return Short(time.Duration(n) * time.Millisecond) }

func errorText(e *messages.Error) string {
	if e == nil {
		return ""
	}
	return e.Message
}
