package executable

import (
	"errors"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Types of errors, as BOSH knows them.
const (
	cloudError       = "Bosh::Clouds::CloudError"
	cpiError         = "Bosh::Clouds::CpiError"
	notSupported     = "Bosh::Clouds::NotSupported"
	notImplemented   = "Bosh::Clouds::NotImplemented"
	vmNotFound       = "Bosh::Clouds::VMNotFound"
	noDiskSpace      = "Bosh::Clouds::NoDiskSpace"
	diskNotFound     = "Bosh::Clouds::DiskNotFound"
	vmCreationFailed = "Bosh::Clouds::VMCreationFailed"
	invalidCall      = "InvalidCall"
)

// answer has exactly the members that a Director wants.
type answer struct {
	Result any       `json:"result"`
	Error  *errorful `json:"error"`
	Log    string    `json:"log"`
}

type errorful struct {
	Type      string `json:"type"`
	Message   string `json:"message"`
	OkToRetry bool   `json:"ok_to_retry"`
}

// fault is an error that has its type already.
type fault struct {
	kind, message string
	retry         bool
}

func (f fault) Error() string { return f.message }

// failure gives an error its type, by its code and by what was called.
func failure(method string, err error) *errorful {
	var known fault
	if errors.As(err, &known) {
		return &errorful{known.kind, known.message, known.retry}
	}
	e := messages.AsError(err)
	out := &errorful{Type: cloudError, Message: e.Message}
	if e.Hint != "" {
		out.Message += " (" + e.Hint + ")"
	}
	switch e.Code {
	case messages.CodeNotSupported:
		out.Type = notSupported
	case messages.CodeMalformed, messages.CodeManifestInvalid, messages.CodeUsage, messages.CodeInternal:
		out.Type = cpiError
	case messages.CodeVMFailed:
		out.Type, out.OkToRetry = vmCreationFailed, true
	case messages.CodeCloudNotFound:
		out.Type = absent(method)
	case messages.CodeCloudQuota:
		if method == messages.MethodCreateDisk || method == messages.MethodResizeDisk {
			out.Type = noDiskSpace
		}
	case messages.CodeCloudTransient, messages.CodeCloudUnreachable, messages.CodeCloudAmbiguous, messages.CodeDeadline, messages.CodeUnsettled, messages.CodeNoService:
		out.OkToRetry = true
	}
	if method == messages.MethodCreateVM && out.Type == cloudError {
		out.Type = vmCreationFailed
	}
	return out
}

// absent is the type for what a method names first and is not there.
func absent(method string) string {
	switch {
	case method == messages.MethodRebootVM || method == messages.MethodSetVMMetadata || method == messages.SvcGetDisks || method == messages.SvcHasVM:
		return vmNotFound
	case method != messages.MethodCreateDisk && strings.HasSuffix(method, "_disk") || method == messages.MethodSetDiskMetadata:
		return diskNotFound
	}
	return cloudError
}
