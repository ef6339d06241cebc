package messages

import "encoding/json"

// Methods of the micro services: the last token of ServiceSubject. Reads, and
// writes that are safe to repeat.
const (
	SvcStatus      = "status"      // orchestrator: DeploymentRequest -> StatusReply
	SvcDeployments = "deployments" // orchestrator: {} -> DeploymentsReply
	SvcCancel      = "cancel"      // orchestrator: CancelRequest -> {}
	SvcAgent       = "agent"       // orchestrator: AgentCall -> AgentReply

	SvcSettingsGet    = "settings_get"    // registry: SettingsGet -> SettingsReply
	SvcSettingsPut    = "settings_put"    // registry: SettingsPut -> SettingsPutReply
	SvcSettingsDelete = "settings_delete" // registry: SettingsDelete -> {}

	SvcIdentityCreate = "identity_create" // registry: IdentityCreate -> IdentityReply
	SvcIdentityRevoke = "identity_revoke" // registry: IdentityRevoke -> {}

	SvcInfo  = "info"   // cpi: CallRequest -> CPIInfo
	SvcHasVM = "has_vm" // cpi: CallRequest of VMArgs -> bool
)

// ServiceReply is the body of every micro reply: a value or an error.
type ServiceReply struct {
	Value json.RawMessage `json:"value,omitempty"`
	Error *Error          `json:"error,omitempty"`
}

// DeploymentRequest names a deployment.
type DeploymentRequest struct {
	Deployment string `json:"deployment"`
}

// StatusReply is a deployment as its journal tells it.
type StatusReply struct {
	State Snapshot   `json:"state"`
	Run   *RunStatus `json:"run,omitempty"` // the open run
	Last  *RunEnd    `json:"last,omitempty"`
	Seq   uint64     `json:"seq"` // of the last fact
}

// RunStatus is a run under way.
type RunStatus struct {
	Run       string `json:"run"`
	Verb      Verb   `json:"verb"`
	Owner     string `json:"owner"`
	Step      string `json:"step,omitempty"` // the open intent
	Cancelled bool   `json:"cancelled,omitempty"`
}

// DeploymentsReply lists what the journal knows and has not deleted.
type DeploymentsReply struct {
	Deployments []Snapshot `json:"deployments"`
}

// CancelRequest asks for the end of the open run.
type CancelRequest struct {
	Deployment string `json:"deployment"`
	Run        string `json:"run,omitempty"` // only this one
	By         string `json:"by,omitempty"`
}

// AgentCall sends one message to a deployment's agent. Arguments may be secret,
// so they are sealed to the orchestrator (a JSON array); the reply is sealed to
// Asker.
type AgentCall struct {
	ID         string  `json:"id"` // of this call, one token: a repeat reaches the agent as a repeat
	Deployment string  `json:"deployment"`
	Method     string  `json:"method"`
	Arguments  *Sealed `json:"arguments,omitempty"`
	Mbus       *Sealed `json:"mbus,omitempty"` // an https:// mbus with its credentials: the agent is called there, not on the bus
	Asker      string  `json:"asker"`          // public curve key
}

// AgentCallReply holds the agent's AgentReply.
type AgentCallReply struct {
	Reply *Sealed `json:"reply"`
}

// SettingsGet asks for settings, sealed to Asker.
type SettingsGet struct {
	Name  string `json:"name"`
	Asker string `json:"asker"` // public curve key
}

// SettingsReply holds settings and their revision.
type SettingsReply struct {
	Settings *Sealed `json:"settings"`
	Revision uint64  `json:"revision"`
}

// SettingsPut stores settings, sealed to the registry. The stored revision must
// be Revision, 0 = there are none; a repeat (the same Digest and Addresses are
// there already) is answered with the stored revision.
type SettingsPut struct {
	Name      string   `json:"name"`
	Settings  *Sealed  `json:"settings"`
	Digest    string   `json:"digest"`              // keyed digest of the clear text, from pkg/seal
	Addresses []string `json:"addresses,omitempty"` // the instance's own, for reads over HTTP
	Revision  uint64   `json:"revision,omitempty"`
}

// SettingsPutReply tells the new revision.
type SettingsPutReply struct {
	Revision uint64 `json:"revision"`
}

// SettingsDelete removes settings; absent ones are no error.
type SettingsDelete struct {
	Name string `json:"name"`
}

// IdentityCreate asks for the identity that an agent logs in to the bus with. It
// is made once: a repeat gets the same, and one that was revoked is refused.
// Lasting asks for the credential that takes the place of the first, which rides
// in the VM's user data; it ends the first when it is used.
type IdentityCreate struct {
	AgentID string `json:"agent_id"`
	Asker   string `json:"asker"` // public curve key
	Lasting bool   `json:"lasting,omitempty"`
}

// IdentityReply holds an Identity.
type IdentityReply struct {
	Identity *Sealed `json:"identity"`
}

// Identity is what one agent logs in with. Where the bus speaks TLS it has a
// certificate, too, which is enough alone: BOSH's agents bring no password.
type Identity struct {
	User        string `json:"user"` // the agent id
	Password    string `json:"password"`
	Certificate string `json:"certificate,omitempty"` // PEM, as the next two
	PrivateKey  string `json:"private_key,omitempty"`
	CA          string `json:"ca,omitempty"`
}

// IdentityRevoke ends an agent's identity for ever and cuts its connections. An
// unknown one is no error, and cannot be made later.
type IdentityRevoke struct {
	AgentID string `json:"agent_id"`
}

// CallRequest is a read-only call of a CPI.
type CallRequest struct {
	Args    json.RawMessage `json:"args,omitempty"`
	Secrets *Sealed         `json:"secrets,omitempty"` // a StepSecrets
}

// CPIInfo describes a CPI.
type CPIInfo struct {
	StemcellFormats []string `json:"stemcell_formats"`
	APIVersion      int      `json:"api_version"`
	Host            string   `json:"host"` // host id: whose paths it can read
}

// StoredLogin is a value in BucketIdentity, which the registry writes.
type StoredLogin struct {
	Sealed  *Sealed `json:"sealed,omitempty"` // StoredIdentities, sealed to the registry
	Swapped bool    `json:"swapped,omitempty"`
	Revoked bool    `json:"revoked,omitempty"`
}

// StoredIdentities are an agent's: the one that rides in its user data, and the
// one that it gets over the bus.
type StoredIdentities struct {
	First   Identity `json:"first"`
	Lasting Identity `json:"lasting"`
}
