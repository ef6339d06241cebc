package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
)

// runningWait is how long jobs may take until they run, as long as today's
// create-env waits.
const runningWait = 5 * time.Minute

// jobStatus is what of get_state tells how the jobs are.
type jobStatus struct {
	JobState  string `json:"job_state"`
	Processes []struct {
		Name  string `json:"name"`
		State string `json:"state"`
	} `json:"processes"`
}

// settled tells whether nothing is to be waited for: the jobs run, or the agent
// does not know.
func (s jobStatus) settled() bool {
	switch s.JobState {
	case "starting", "failing", "stopped":
		return false
	}
	return true
}

// awaitRunning returns when the jobs run. Our agent's start has waited for that;
// others answer before, and tell nobody when it is so.
func (x *Session) awaitRunning(ctx context.Context, c Call) error {
	ctx, cancel := context.WithTimeout(ctx, runningWait)
	defer cancel()
	defer x.tellLater(c, "the jobs are not running yet")()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		raw, err := x.ask(ctx, c, "get_state")
		var refused exception
		if errors.As(err, &refused) {
			return nil // what it cannot tell is nothing to wait for
		}
		var now jobStatus
		if err == nil && json.Unmarshal(raw, &now) != nil {
			return messages.Errorf(messages.CodeAgentFailed, "the agent's get_state cannot be read")
		}
		if err == nil && now.settled() {
			return nil
		}
		if err == nil {
			err = poll.Pause(ctx, pause)
			if err == nil {
				continue
			}
		}
		if now.JobState == "" || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return notRunning(now, c.State.VM.AgentID)
	}
}

func notRunning(now jobStatus, agentID string) error {
	var bad []string
	for _, p := range now.Processes {
		if p.State != "running" {
			bad = append(bad, fmt.Sprintf("%s is %s", p.Name, p.State))
		}
	}
	text := "the jobs do not run, they are " + now.JobState
	if len(bad) > 0 {
		text += ": " + strings.Join(bad, ", ")
	}
	return messages.Errorf(messages.CodeAgentFailed, "%s", text).WithDetail("agent", agentID).
		WithHint("look at /var/vcap/sys/log on the VM; `microbosh agent get_state` tells how the processes are; the agent tries on")
}
