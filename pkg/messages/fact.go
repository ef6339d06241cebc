package messages

import (
	"encoding/json"
	"time"
)

// Facts of the journal, the last token of JournalSubject. An unknown fact is
// kept and folded to nothing.
const (
	FactRunClaimed      = "run_claimed"
	FactStepIntended    = "step_intended"
	FactStepDone        = "step_done"
	FactStepFailed      = "step_failed"
	FactCancelRequested = "cancel_requested"
	FactRunDone         = "run_done"
	FactSnapshot        = "snapshot"
)

// RunClaimed says that a process works on a run from here on: the last claim
// in the journal counts.
type RunClaimed struct {
	Owner        string    `json:"owner"` // <host>-<pid>-<random>
	Verb         Verb      `json:"verb"`
	InstanceUUID string    `json:"instance_uuid,omitempty"` // bm-<uuid>, minted with the deployment
	Cloud        string    `json:"cloud,omitempty"`
	RequestedBy  string    `json:"requested_by,omitempty"`
	ConfigSHA1   string    `json:"config_sha1,omitempty"`
	StemcellSHA1 string    `json:"stemcell_sha1,omitempty"`
	Claim        int       `json:"claim"` // 1, then one more for each takeover
	Time         time.Time `json:"time"`
}

// StepIntended is written before an effect is asked for. Inputs hold what was
// minted for it: a retry reads them.
type StepIntended struct {
	Step     string     `json:"step"`
	StepID   string     `json:"step_id"`
	N        int        `json:"n"`
	Inputs   StepInputs `json:"inputs"`
	Why      string     `json:"why,omitempty"` // in words
	Deadline time.Time  `json:"deadline"`
}

// StepDone closes an intent.
type StepDone struct {
	Step    string          `json:"step"`
	StepID  string          `json:"step_id"`
	N       int             `json:"n"`
	Outputs json.RawMessage `json:"outputs,omitempty"`
	Millis  int64           `json:"millis"` // since the intent
}

// StepFailed closes an intent whose effect did not happen.
type StepFailed struct {
	Step   string `json:"step"`
	StepID string `json:"step_id"`
	N      int    `json:"n"`
	Error  *Error `json:"error"`
	Millis int64  `json:"millis"`

	// Dropped says that the intent is given up and decides nothing: it was an
	// earlier run's and its effect did not happen, or it only waited and the run
	// was cancelled.
	Dropped bool `json:"dropped,omitempty"`
}

// StepInputs are what an intent is about: names and ids, nothing secret. What
// was minted for the step (agent id, VM name) is here before the effect is
// asked for.
type StepInputs struct {
	Role         string `json:"role,omitempty"` // of several alike: current, new, old
	VMCID        string `json:"vm_cid,omitempty"`
	VMName       string `json:"vm_name,omitempty"`
	AgentID      string `json:"agent_id,omitempty"`
	DiskCID      string `json:"disk_cid,omitempty"`
	PortCID      string `json:"port_cid,omitempty"`
	OldDiskCID   string `json:"old_disk_cid,omitempty"` // migrate_disk: from
	SizeMiB      int    `json:"size_mib,omitempty"`
	Properties   string `json:"properties,omitempty"` // a disk's cloud_properties, compact JSON
	StemcellCID  string `json:"stemcell_cid,omitempty"`
	StemcellName string `json:"stemcell_name,omitempty"`
	Version      string `json:"version,omitempty"` // of the stemcell
	StemcellAPI  int    `json:"stemcell_api,omitempty"`
	Owner        string `json:"owner,omitempty"` // step id of the create of what is deleted
	ConfigSHA1   string `json:"config_sha1,omitempty"`
	StemcellSHA1 string `json:"stemcell_sha1,omitempty"`
}

// CheckVMOutputs tell what became of a VM.
type CheckVMOutputs struct {
	Exists  bool `json:"exists"`  // says the IaaS
	Answers bool `json:"answers"` // its agent does
}

// CancelRequested asks the owner of a run to stop after the effect in flight.
type CancelRequested struct {
	By string `json:"by,omitempty"`
}

// Outcome is how a run ended.
type Outcome string

// Outcomes. needs_attention leaves an intent open: its effect is unknown.
const (
	OutcomeSucceeded      Outcome = "succeeded"
	OutcomeSkipped        Outcome = "skipped" // nothing had changed
	OutcomeFailed         Outcome = "failed"
	OutcomeCancelled      Outcome = "cancelled"
	OutcomeNeedsAttention Outcome = "needs_attention"
)

// RunDone ends a run.
type RunDone struct {
	Outcome Outcome   `json:"outcome"`
	Verb    Verb      `json:"verb"`
	Step    string    `json:"step,omitempty"` // where it failed
	Error   *Error    `json:"error,omitempty"`
	Message string    `json:"message,omitempty"` // in words
	Time    time.Time `json:"time"`
	Millis  int64     `json:"millis"` // since the first claim
}

// Snapshot is the state of a deployment: the fact that closes a run, and what
// folding starts from.
type Snapshot struct {
	Deployment   string `json:"deployment"`
	UID          string `json:"uid,omitempty"`           // "" before the first run and after a delete
	InstanceUUID string `json:"instance_uuid,omitempty"` // bm-<uuid>
	Cloud        string `json:"cloud,omitempty"`

	Stemcell     *Stemcell  `json:"stemcell,omitempty"`
	OldStemcells []Stemcell `json:"old_stemcells,omitempty"` // superseded, to be deleted
	VM           *VM        `json:"vm,omitempty"`
	Disk         *Disk      `json:"disk,omitempty"`
	NewDisk      *Disk      `json:"new_disk,omitempty"` // the target of a migration under way
	OldDisk      *Disk      `json:"old_disk,omitempty"` // its content is verified elsewhere, to be deleted
	ConfigSHA1   string     `json:"config_sha1,omitempty"`
	StemcellSHA1 string     `json:"stemcell_sha1,omitempty"`
	Target       *Target    `json:"target,omitempty"`

	Uses         map[string]int    `json:"uses,omitempty"` // finished uses per step
	Open         map[string]Intent `json:"open,omitempty"` // open intents per step
	FinishedRuns []RunEnd          `json:"finished_runs,omitempty"`
}

// Intent is a recorded wish whose end is not recorded yet.
type Intent struct {
	StepIntended
	Run  string    `json:"run"`
	Time time.Time `json:"time"`
}

// RunEnd is what is remembered of a finished run.
type RunEnd struct {
	Run     string    `json:"run"`
	Verb    Verb      `json:"verb"`
	Outcome Outcome   `json:"outcome"`
	Step    string    `json:"step,omitempty"`
	Error   *Error    `json:"error,omitempty"`
	Message string    `json:"message,omitempty"`
	Time    time.Time `json:"time"`
	Millis  int64     `json:"millis"`
}

// Stemcell is an image that a deployment uses.
type Stemcell struct {
	CID      string `json:"cid"`
	Name     string `json:"name,omitempty"`
	Version  string `json:"version,omitempty"`
	SHA1     string `json:"sha1,omitempty"`
	API      int    `json:"api,omitempty"`
	Uploaded bool   `json:"uploaded"` // by us: only then it is deleted
	Step     string `json:"step"`     // step id of the create
}

// VM is a server that a deployment owns.
type VM struct {
	CID         string             `json:"cid"`
	Name        string             `json:"name"`
	AgentID     string             `json:"agent_id"`
	Networks    map[string]Network `json:"networks,omitempty"`
	Step        string             `json:"step"`
	MetadataSet bool               `json:"metadata_set,omitempty"`
	IP          string             `json:"ip,omitempty"`
	ServiceIP   string             `json:"service_ip,omitempty"`
	HostKey     string             `json:"host_key,omitempty"` // of its sshd, as in authorized_keys, when a tunnel was opened
	AgentSeen   bool               `json:"agent_seen,omitempty"`
	Running     bool               `json:"running,omitempty"` // the spec was applied, started and answered

	ConfigSHA1   string `json:"config_sha1,omitempty"` // what it was made from
	StemcellSHA1 string `json:"stemcell_sha1,omitempty"`
}

// Disk is a persistent disk that a deployment owns.
type Disk struct {
	CID        string `json:"cid"`
	SizeMiB    int    `json:"size_mib"`             // as the cloud has it
	WantedMiB  int    `json:"wanted_mib"`           // as the manifest had it
	Properties string `json:"properties,omitempty"` // its cloud_properties, compact JSON
	Step       string `json:"step"`
	AttachedTo string `json:"attached_to,omitempty"` // VM CID
	Hint       string `json:"hint,omitempty"`        // device path on that VM
	Mounted    bool   `json:"mounted,omitempty"`
}

// Target is the Director that the VM runs.
type Target struct {
	URL     string `json:"url"`
	Name    string `json:"name"`
	UUID    string `json:"uuid"`
	Version string `json:"version"`
}
