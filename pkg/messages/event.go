package messages

// Events, the last token of EventSubject. They inform; nothing depends on one
// but a person's patience.
const (
	EventProgress  = "progress"   // Progress, at most a few a second
	EventExchange  = "exchange"   // Exchange: a request to an agent was answered
	EventRunClosed = "run_closed" // RunClosed: the run's command has left its slot
	EventUnwanted  = "unwanted"   // Unwanted: the run of a step under way was cancelled
)

// Progress tells how far a step is.
type Progress struct {
	Step    string `json:"step"` // the step's name
	StepID  string `json:"step_id"`
	Message string `json:"message,omitempty"` // what it waits for, in words
	Done    int64  `json:"done,omitempty"`    // bytes, when they are known
	Total   int64  `json:"total,omitempty"`
}

// Exchange is a request to an agent without its arguments.
type Exchange struct {
	AgentID string `json:"agent_id"`
	Method  string `json:"method"`
	StepID  string `json:"step_id,omitempty"`
	OK      bool   `json:"ok"`
	Error   string `json:"error,omitempty"`
	Millis  int64  `json:"millis"`
}

// Unwanted tells the CPI that a step's run was cancelled, every UnwantedEvery
// until the step has a result. A CPI that only waits for a cloud to come back
// gives up; what the cloud was asked for is finished all the same.
type Unwanted struct {
	StepID string `json:"step_id"`
}

// UnwantedEvery is the time between two events about the same step.
const UnwantedEvery = AckWait

// RunClosed says that a run's command was acknowledged.
type RunClosed struct {
	Run     string  `json:"run"`
	Verb    Verb    `json:"verb"`
	Outcome Outcome `json:"outcome"`
}
