package task

import (
	"context"
	"encoding/json"
	"time"
)

// State of a task.
type State string

// The states. interrupted: the agent stopped while the task waited or ran.
const (
	Queued      State = "queued"
	Running     State = "running"
	Done        State = "done"
	Failed      State = "failed"
	Interrupted State = "interrupted"
)

// Ended tells whether nothing more happens by itself.
func (s State) Ended() bool { return s != Queued && s != Running }

// Task is one action's fate.
type Task struct {
	ID      string          `json:"id"`
	Method  string          `json:"method"`
	StepID  string          `json:"step_id,omitempty"`
	State   State           `json:"state"`
	Value   json.RawMessage `json:"value,omitempty"`
	Error   string          `json:"error,omitempty"`
	Created time.Time       `json:"created"`
	Ended   time.Time       `json:"ended,omitzero"`
}

// Work is what a task does. Its value is what the reply carries.
type Work func(ctx context.Context) (any, error)
