package ui

import (
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Kind says what a line of the story tells.
type Kind string

// The kinds of lines.
const (
	KindReason   Kind = "reason"   // why the run acts, or that it does not
	KindStage    Kind = "stage"    // a stage begins
	KindStarted  Kind = "started"  // a step begins
	KindProgress Kind = "progress" // what a step waits for
	KindFinished Kind = "finished" // a step or a group of steps ended well
	KindFailed   Kind = "failed"   // a step ended badly
	KindNote     Kind = "note"     // something else that a person should know
	KindDone     Kind = "done"     // the run ended
)

// Line is one event of the story. Zero fields do not apply.
type Line struct {
	Kind    Kind             `json:"type"`
	Time    time.Time        `json:"time"`
	Run     string           `json:"run,omitempty"`
	Stage   string           `json:"stage,omitempty"`
	Group   string           `json:"group,omitempty"`
	Task    string           `json:"task,omitempty"`
	StepID  string           `json:"step_id,omitempty"`
	Index   int              `json:"index,omitempty"` // of the step within its stage
	Took    time.Duration    `json:"-"`
	Millis  int64            `json:"millis,omitempty"`
	Text    string           `json:"text,omitempty"`
	Done    int64            `json:"done,omitempty"` // bytes
	Total   int64            `json:"total,omitempty"`
	Error   *messages.Error  `json:"error,omitempty"`
	Outcome messages.Outcome `json:"outcome,omitempty"`
}

// Story tells one run from the facts and events of its deployment. It keeps no
// time of its own: the same messages give the same lines.
type Story struct {
	run   string
	verb  messages.Verb
	stage string
	index int

	steps  map[string]place // open and finished, by step id
	began  map[string]time.Time
	reason string
	taken  bool // the last thing told is that the run changed hands

	group      string
	groupBegan time.Time
	groupEnded time.Time
}

// NewStory tells the run with that id.
func NewStory(run string, verb messages.Verb) *Story {
	return &Story{run: run, verb: verb, steps: map[string]place{}, began: map[string]time.Time{}}
}

// Fact folds one fact of the journal; body is the messages type by value.
func (s *Story) Fact(run string, at time.Time, body any) []Line {
	if run != s.run {
		return nil
	}
	switch b := body.(type) {
	case messages.RunClaimed:
		s.verb = b.Verb
		// Told once, however often it changed hands before it got anywhere.
		if b.Claim > 1 && !s.taken {
			s.taken = true
			return s.lines(Line{Kind: KindNote, Time: at, Text: "the run goes on with another orchestrator"})
		}
	case messages.StepIntended:
		return s.intended(at, b)
	case messages.StepDone:
		return s.ended(Line{Kind: KindFinished, Time: at, StepID: b.StepID, Millis: b.Millis})
	case messages.StepFailed:
		l := Line{Kind: KindFailed, Time: at, StepID: b.StepID, Millis: b.Millis, Error: b.Error}
		switch {
		case b.Dropped && b.Error != nil && b.Error.Code == messages.CodeCancelled:
			l = Line{Kind: KindNote, Time: at, StepID: b.StepID, Text: downcased(s.steps[b.StepID].task) + " given up"}
		case b.Dropped:
			l = Line{Kind: KindNote, Time: at, StepID: b.StepID, Text: "what an earlier run left open did not happen"}
		}
		return s.ended(l)
	case messages.CancelRequested:
		return s.lines(Line{Kind: KindNote, Time: at, Text: "cancel requested: the run stops after the effect under way"})
	case messages.RunDone:
		out := s.leave("")
		if b.Message != "" {
			out = append(out, Line{Kind: KindReason, Time: at, Text: b.Message})
		}
		l := Line{Kind: KindDone, Time: at, Stage: s.stage, Index: s.index, Millis: b.Millis, Error: b.Error, Outcome: b.Outcome}
		return s.lines(append(out, l)...)
	}
	return nil
}

// Progress folds an event about a step under way.
func (s *Story) Progress(run string, at time.Time, p messages.Progress) []Line {
	where, known := s.steps[p.StepID]
	if run != s.run || !known {
		return nil
	}
	return s.lines(Line{
		Kind: KindProgress, Time: at, Stage: where.stage, Group: where.group, Task: where.task, StepID: p.StepID,
		Text: p.Message, Done: p.Done, Total: p.Total, Millis: at.Sub(s.began[p.StepID]).Milliseconds(),
	})
}

func (s *Story) intended(at time.Time, i messages.StepIntended) []Line {
	where := placeOf(s.verb, i)
	s.taken = false
	s.steps[i.StepID], s.began[i.StepID] = where, at
	var out []Line
	if where.group != s.group {
		out = s.leave(where.group)
		s.groupBegan = at
	}
	if i.Why != "" && i.Why != s.reason {
		s.reason = i.Why
		out = append(out, Line{Kind: KindReason, Time: at, Text: i.Why})
	}
	if where.stage != s.stage {
		s.stage, s.index = where.stage, 0
		out = append(out, Line{Kind: KindStage, Time: at, Stage: s.stage})
	}
	return s.lines(append(out, Line{
		Kind: KindStarted, Time: at, Stage: where.stage, Group: where.group, Task: where.task, StepID: i.StepID, Index: s.index + 1,
	})...)
}

func (s *Story) ended(l Line) []Line {
	where, known := s.steps[l.StepID]
	if !known {
		return nil
	}
	s.index++
	s.taken = false
	s.groupEnded = l.Time
	l.Stage, l.Group, l.Task, l.Index = where.stage, where.group, where.task, s.index
	return s.lines(l)
}

// leave ends the group of steps under way when another begins.
func (s *Story) leave(next string) []Line {
	old := s.group
	s.group = next
	if old == "" {
		return nil
	}
	return []Line{{
		Kind: KindFinished, Time: s.groupEnded, Stage: s.stage, Task: old, Index: s.index,
		Millis: s.groupEnded.Sub(s.groupBegan).Milliseconds(),
	}}
}

func (s *Story) lines(out ...Line) []Line {
	for i := range out {
		out[i].Run = s.run
		out[i].Took = time.Duration(out[i].Millis) * time.Millisecond
	}
	return out
}
