package messages

import (
	"encoding/json"
	"time"
)

// Subjects of BOSH's mbus.
const (
	AgentPrefix     = "agent."
	DirectorPrefix  = "director."
	HeartbeatPrefix = "hm.agent.heartbeat."
	AlertPrefix     = "hm.agent.alert."
	ShutdownPrefix  = "hm.agent.shutdown."
)

// AgentSubject is where an agent listens.
func AgentSubject(agentID string) string { return AgentPrefix + agentID }

// ReplySubject is where an agent answers a request:
// director.<director id>.<agent id>.<request id>.
func ReplySubject(director, agentID, request string) string {
	return DirectorPrefix + director + "." + agentID + "." + request
}

// HeartbeatSubject is where an agent says that it lives.
func HeartbeatSubject(agentID string) string { return HeartbeatPrefix + agentID }

// AlertSubject is where an agent says that something is wrong.
func AlertSubject(agentID string) string { return AlertPrefix + agentID }

// ShutdownSubject is where an agent says goodbye.
func ShutdownSubject(agentID string) string { return ShutdownPrefix + agentID }

// AgentRequest is BOSH's request, on NATS and in a POST to /agent. StepID is
// ours: a repeat is answered with the task of the first; real agents ignore it.
type AgentRequest struct {
	Protocol  int               `json:"protocol,omitempty"`
	Method    string            `json:"method"`
	Arguments []json.RawMessage `json:"arguments"`
	ReplyTo   string            `json:"reply_to"`
	StepID    string            `json:"step_id,omitempty"`
}

// AgentReply is BOSH's reply: a value or an exception.
type AgentReply struct {
	Value     json.RawMessage `json:"value,omitempty"`
	Exception *AgentException `json:"exception,omitempty"`
}

// AgentException is why an agent refused. The 2014 agent also sent bare
// strings, which are read into Message.
type AgentException struct {
	Message     string   `json:"message"`
	Backtrace   []string `json:"backtrace,omitempty"`
	BlobstoreID string   `json:"blobstore_id,omitempty"`
}

// UnmarshalJSON reads the object and the 2014 agent's bare string.
func (e *AgentException) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &e.Message)
	}
	type plain AgentException
	return json.Unmarshal(b, (*plain)(e))
}

// AgentTask is the value of a reply while a task runs: State is "running".
type AgentTask struct {
	AgentTaskID string `json:"agent_task_id"`
	State       string `json:"state"`
}

// TaskRunning reads a value as a running task.
func TaskRunning(value json.RawMessage) (AgentTask, bool) {
	var t AgentTask
	if len(value) == 0 || value[0] != '{' || json.Unmarshal(value, &t) != nil {
		return AgentTask{}, false
	}
	return t, t.State == "running" && t.AgentTaskID != ""
}

// TaskWait is the surplus argument of get_task: the agent answers when the task
// ends or after Wait, a Go duration. Real agents ignore it.
type TaskWait struct {
	Wait string `json:"wait"`
}

// Heartbeat is what an agent publishes at start and then periodically.
type Heartbeat struct {
	Deployment        string  `json:"deployment"`
	Job               *string `json:"job"`
	Index             *int    `json:"index"`
	JobState          string  `json:"job_state"`
	NodeID            string  `json:"node_id"`
	NumberOfProcesses int     `json:"number_of_processes"`
	Vitals            *Vitals `json:"vitals"`
}

// Vitals are BOSH's: numbers as strings, but the uptime.
type Vitals struct {
	CPU    CPUVitals             `json:"cpu"`
	Mem    MemVitals             `json:"mem"`
	Swap   MemVitals             `json:"swap"`
	Disk   map[string]DiskVitals `json:"disk"` // system, ephemeral, persistent
	Load   []string              `json:"load"`
	Uptime struct {
		Secs int64 `json:"secs"`
	} `json:"uptime"`
}

// CPUVitals are percentages.
type CPUVitals struct {
	Sys  string `json:"sys"`
	User string `json:"user"`
	Wait string `json:"wait"`
}

// MemVitals are kilobytes and a percentage.
type MemVitals struct {
	KB      string `json:"kb"`
	Percent string `json:"percent"`
}

// DiskVitals are percentages.
type DiskVitals struct {
	Percent      string `json:"percent"`
	InodePercent string `json:"inode_percent"`
}

// Alert is what an agent publishes when a job misbehaves. Severity 1 alert, 2
// critical, 3 error, 4 warning.
type Alert struct {
	ID        string `json:"id"`
	Severity  int    `json:"severity"`
	Title     string `json:"title"`
	Summary   string `json:"summary"`
	CreatedAt int64  `json:"created_at"` // unix seconds
}

// HeartbeatInterval is how often an agent says that it lives.
const HeartbeatInterval = 30 * time.Second
