package messages

import (
	"errors"
	"fmt"
)

// Code is a stable name of a kind of error. Codes are append-only; each has a
// page in `microbosh explain CODE`.
type Code string

// The codes. Comments say when each is used.
const (
	CodeInternal           Code = "internal"               // a defect of microbosh
	CodeUsage              Code = "usage"                  // wrong arguments
	CodeInvalidName        Code = "name_invalid"           // a deployment, agent or cloud name that cannot be a token
	CodeMalformed          Code = "message_malformed"      // a message or file that cannot be read
	CodeTooLarge           Code = "message_too_large"      // beyond MaxMessage
	CodeManifestInvalid    Code = "manifest_invalid"       // micro_bosh.yml is wrong
	CodeManifestMissing    Code = "manifest_missing"       // no micro_bosh.yml there
	CodeStemcellInvalid    Code = "stemcell_invalid"       // archive, manifest or digest is wrong
	CodeStemcellMissing    Code = "stemcell_missing"       // no stemcell given or found
	CodeNoDeployment       Code = "no_deployment"          // nothing recorded under that name
	CodeInstanceExists     Code = "instance_exists"        // create asked where one is
	CodeUIDMismatch        Code = "deployment_uid_differs" // the name lives under another uid
	CodeRunOpen            Code = "run_open"               // another run of this deployment is open
	CodeBusUnreachable     Code = "bus_unreachable"        // no bus answers
	CodeBusFull            Code = "bus_full"               // the bus has no room for a stemcell
	CodeBusDenied          Code = "bus_denied"             // the bus refuses this identity
	CodeStateLocked        Code = "state_locked"           // the state folder is in use
	CodeStateInvalid       Code = "state_invalid"          // a state file that cannot be read
	CodeNoService          Code = "service_unavailable"    // nobody answers for a service or cloud
	CodeCloudAuth          Code = "cloud_denied"           // IaaS credentials refused
	CodeCloudInvalid       Code = "cloud_invalid"          // the IaaS refuses a request for good
	CodeCloudNotFound      Code = "cloud_not_found"        // a named IaaS thing does not exist
	CodeCloudQuota         Code = "cloud_quota"            // quota or capacity
	CodeCloudConflict      Code = "cloud_conflict"         // the IaaS says it is in use or exists
	CodeCloudTransient     Code = "cloud_transient"        // may work when tried again
	CodeCloudUnreachable   Code = "cloud_unreachable"      // nobody listens where the IaaS should be
	CodeCloudAmbiguous     Code = "cloud_ambiguous"        // nobody can say whether it happened
	CodeCloudForeign       Code = "cloud_foreign"          // it is there, but not ours
	CodeVMFailed           Code = "vm_failed"              // the server went to ERROR
	CodeAgentTimeout       Code = "agent_timeout"          // the agent did not answer in time
	CodeAgentFailed        Code = "agent_failed"           // the agent answered with an exception
	CodeTunnelFailed       Code = "tunnel_failed"          // no SSH tunnel to the VM
	CodeHostKeyChanged     Code = "host_key_changed"       // the VM's sshd has another host key than at first
	CodeDirectorTimeout    Code = "director_timeout"       // /info did not answer in time
	CodeRenderFailed       Code = "render_failed"          // templates cannot be rendered
	CodeNotSupported       Code = "not_supported"          // the method is not for this cloud
	CodeSealUnreadable     Code = "seal_unreadable"        // a sealed value for another key, cut or replayed
	CodeUnsettled          Code = "step_unsettled"         // a create whose outcome is unknown
	CodeCancelled          Code = "run_cancelled"          // somebody asked for it
	CodeInterrupted        Code = "interrupted"            // Ctrl-C between steps
	CodeDeadline           Code = "deadline_exceeded"      // a step's deadline passed
	CodeDiskMismatch       Code = "disk_mismatch"          // agent and journal disagree about the disk
	CodeSettingsNotFound   Code = "settings_not_found"     // the registry has none under that name
	CodeConflict           Code = "revision_conflict"      // a compare-and-set was lost
	CodeBootstrapFailed    Code = "bootstrap_failed"       // the agent could not make the machine out of its settings
	CodeConfirmationNeeded Code = "confirmation_needed"    // no terminal to ask on and no --yes
)

// Error is what crosses the wire and reaches a person: what failed and why
// (Message), what to do (Hint). It holds no secret.
type Error struct {
	Code      Code              `json:"code"`
	Message   string            `json:"message"`
	Hint      string            `json:"hint,omitempty"`
	Retryable bool              `json:"retryable,omitempty"`
	Details   map[string]string `json:"details,omitempty"` // names and ids a person may look up

	cause error
}

// Errorf makes an Error. A %w among the operands is kept for errors.Is.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: errors.Unwrap(err)}
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the local cause; it does not cross the wire.
func (e *Error) Unwrap() error { return e.cause }

// WithHint returns e with a hint.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// WithDetail returns e with one more detail.
func (e *Error) WithDetail(key, value string) *Error {
	if e.Details == nil {
		e.Details = map[string]string{}
	}
	e.Details[key] = value
	return e
}

// AsError gives err's *Error with err's whole text as its message, or one with
// code internal. nil stays nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Code: CodeInternal, Message: err.Error(), cause: err}
	}
	out := *e
	out.Message, out.cause = err.Error(), err
	return &out
}

// CodeOf is the code of err, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}
