package supervisor

import "context"

// Supervisor runs the jobs' processes.
type Supervisor interface {
	Run(ctx context.Context) error    // watches until ctx ends
	Reload(ctx context.Context) error // reads the monit files again; starts and stops nothing
	Start(ctx context.Context) error  // returns when every process lives
	Stop(ctx context.Context) error   // returns when every process is gone
	Unmonitor(ctx context.Context) error
	Status() Status
}

// Status is what get_state and heartbeats tell.
type Status struct {
	JobState  string
	Processes []Process
}

// Process is one service.
type Process struct {
	Name   string `json:"name"`
	State  string `json:"state"`
	Uptime *struct {
		Secs int64 `json:"secs"`
	} `json:"uptime,omitempty"`
}

// Job and process states.
const (
	Running  = "running"
	Starting = "starting"
	Failing  = "failing"
	Stopped  = "stopped"
	Unknown  = "unknown" // nobody can say
)

// Event is something that befell a process. Monit's words.
type Event struct {
	Service string
	Event   string // does not exist, execution failed, exists
	Action  string // restart, alert
	Summary string
}

// Listener hears what happens. It must not block and not call back.
type Listener interface {
	StateChanged(jobState string)
	Happened(Event)
}
