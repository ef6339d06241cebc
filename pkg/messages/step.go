package messages

import (
	"encoding/json"
	"time"
)

// Methods of the CPI that travel as step commands: they change the world.
const (
	MethodCreateStemcell = "create_stemcell"
	MethodDeleteStemcell = "delete_stemcell"
	MethodCreateVM       = "create_vm"
	MethodDeleteVM       = "delete_vm"
	MethodSetVMMetadata  = "set_vm_metadata"
	MethodDiscoverIP     = "discover_ip"
	MethodCreateDisk     = "create_disk"
	MethodDeleteDisk     = "delete_disk"
	MethodAttachDisk     = "attach_disk"
	MethodDetachDisk     = "detach_disk"
	MethodAdopt          = "adopt" // AdoptArgs -> AdoptOutputs
	MethodDeletePort     = "delete_port"

	MethodRebootVM        = "reboot_vm"         // VMArgs
	MethodSetDiskMetadata = "set_disk_metadata" // SetDiskMetadataArgs
	MethodResizeDisk      = "resize_disk"       // ResizeDiskArgs
	MethodUpdateDisk      = "update_disk"       // UpdateDiskArgs
	MethodSnapshotDisk    = "snapshot_disk"     // SnapshotDiskArgs -> SnapshotDiskOutputs
	MethodDeleteSnapshot  = "delete_snapshot"   // DeleteSnapshotArgs
)

// StepCall is the step in the tags of what a Director's call of the CPI made.
const StepCall = "call"

// StepCommand asks the CPI for one effect: the body of a message on
// StepSubject. The envelope's step is the step id, under which it may be sent
// again any number of times.
type StepCommand struct {
	Method   string          `json:"method"`
	Args     json.RawMessage `json:"args"`              // the method's Args type, without what looks like a secret
	Secrets  *Sealed         `json:"secrets,omitempty"` // a StepSecrets, sealed to the CPI
	Deadline time.Time       `json:"deadline"`          // after it the CPI stops trying

	// Settle asks only what an earlier try of this create did: done when it is
	// there, failed when it is not; nothing is created.
	Settle bool `json:"settle,omitempty"`

	// First says that nothing of the run was done yet: a cloud that nobody
	// answers for ends the step, where it would be waited for later.
	First bool `json:"first,omitempty"`
}

// StepSecrets is what StepCommand.Secrets and CallRequest.Secrets hold once
// opened.
type StepSecrets struct {
	Args       json.RawMessage `json:"args,omitempty"`       // what Part took out of the arguments
	Properties json.RawMessage `json:"properties,omitempty"` // the manifest's cloud.properties, whole
	Env        json.RawMessage `json:"env,omitempty"`        // create_vm: the manifest's env
	Mbus       string          `json:"mbus,omitempty"`       // create_vm: the agent's mbus URL with its credentials
}

// ResultStatus is the state of a ledger entry.
type ResultStatus string

// Only done and failed are final. posting means that a create may have reached
// the cloud; unsettled that the CPI gave up telling whether it did.
const (
	ResultWorking   ResultStatus = "working"
	ResultPosting   ResultStatus = "posting"
	ResultDone      ResultStatus = "done"
	ResultFailed    ResultStatus = "failed"
	ResultUnsettled ResultStatus = "unsettled"
)

// Final tells whether no later entry can differ.
func (s ResultStatus) Final() bool { return s == ResultDone || s == ResultFailed }

// Result is the CPI's word on one step: the body of a message on
// ResultSubject. It holds no secret, sealed or not.
type Result struct {
	Status   ResultStatus    `json:"status"`
	Method   string          `json:"method"`
	By       string          `json:"by"` // the CPI process that wrote it
	Attempt  int             `json:"attempt,omitempty"`
	Deadline time.Time       `json:"deadline,omitzero"` // posting: the end of the settle window
	CID      string          `json:"cid,omitempty"`     // the resource, also while posting when it is known
	Outputs  json.RawMessage `json:"outputs,omitempty"` // the method's Outputs type
	Error    *Error          `json:"error,omitempty"`
}

// Tags are the words on every resource, so that it can be found again by step
// and by a person.
type Tags struct {
	Deployment string `json:"deployment"`
	UID        string `json:"uid"`
	Step       string `json:"step"` // step id of the create
}

// CreateStemcellArgs are create_stemcell's.
type CreateStemcellArgs struct {
	Stemcell StemcellRef `json:"stemcell"`
	Tags     Tags        `json:"tags"`
}

// CreateStemcellOutputs tells the image.
type CreateStemcellOutputs struct {
	CID      string `json:"cid"`
	Uploaded bool   `json:"uploaded"` // false: it existed, and is never deleted by us
}

// CreateVMArgs are create_vm's. Names and the agent id were minted before the
// intent was recorded.
type CreateVMArgs struct {
	AgentID         string             `json:"agent_id"`
	Name            string             `json:"name"` // vm-<uuid>: the server's and the registry's name
	StemcellCID     string             `json:"stemcell_cid"`
	StemcellAPI     int                `json:"stemcell_api,omitempty"`
	CloudProperties json.RawMessage    `json:"cloud_properties,omitempty"`
	Networks        map[string]Network `json:"networks"`
	DiskCIDs        []string           `json:"disk_cids,omitempty"` // locality
	Tags            Tags               `json:"tags"`

	// RegistryPort is where the VM finds the registry on its own loopback
	// address, through an SSH tunnel; 0 = at the registry's own address.
	RegistryPort int `json:"registry_port,omitempty"`
}

// CreateVMOutputs tells the server.
type CreateVMOutputs struct {
	CID      string             `json:"cid"`
	Name     string             `json:"name"`
	AgentID  string             `json:"agent_id"`
	Networks map[string]Network `json:"networks,omitempty"`
}

// OpenTunnelOutputs tell the host key of the VM's sshd; "" when the agent came
// without a tunnel.
type OpenTunnelOutputs struct {
	HostKey string `json:"host_key,omitempty"`
}

// SetVMMetadataArgs are set_vm_metadata's.
type SetVMMetadataArgs struct {
	VMCID    string            `json:"vm_cid"`
	Metadata map[string]string `json:"metadata"`
}

// VMArgs name a server: discover_ip, has_vm, reboot_vm, console, get_disks.
type VMArgs struct {
	VMCID string `json:"vm_cid"`
}

// DiscoverIPOutputs are the server's addresses.
type DiscoverIPOutputs struct {
	IP        string `json:"ip"`         // the floating one if there is one, else the fixed one
	ServiceIP string `json:"service_ip"` // the fixed one
}

// DeleteVMArgs are delete_vm's. Owner is the step id of the create that made
// it; a server with another owner is not touched.
type DeleteVMArgs struct {
	VMCID string `json:"vm_cid"`
	Name  string `json:"name,omitempty"` // the registry's key, deleted with the server
	Owner string `json:"owner"`
}

// CreateDiskArgs are create_disk's.
type CreateDiskArgs struct {
	SizeMiB         int             `json:"size_mib"`
	CloudProperties json.RawMessage `json:"cloud_properties,omitempty"`
	VMCID           string          `json:"vm_cid,omitempty"` // locality
	Tags            Tags            `json:"tags"`
}

// CreateDiskOutputs tells the volume.
type CreateDiskOutputs struct {
	CID     string `json:"cid"`
	SizeMiB int    `json:"size_mib"` // what the cloud made of the wish
}

// DiskArgs are attach_disk's and detach_disk's.
type DiskArgs struct {
	VMCID   string `json:"vm_cid"`
	DiskCID string `json:"disk_cid"`
	VMName  string `json:"vm_name,omitempty"` // the registry's key: its disks follow the attachment
}

// AttachDiskOutputs tells the agent where to look.
type AttachDiskOutputs struct {
	Hint string `json:"hint"` // device path, /dev/sdX
}

// DeleteDiskArgs are delete_disk's.
type DeleteDiskArgs struct {
	DiskCID string `json:"disk_cid"`
	Owner   string `json:"owner"`
}

// DeletePortArgs are delete_port's: of a create_vm whose server is gone.
type DeletePortArgs struct {
	PortCID string `json:"port_cid"`
	Owner   string `json:"owner"`
}

// DeleteStemcellArgs are delete_stemcell's.
type DeleteStemcellArgs struct {
	CID   string `json:"cid"`
	Owner string `json:"owner"`
}

// Kinds of resources, as FindReply and AdoptArgs name them.
const (
	KindVM       = "vm"
	KindDisk     = "disk"
	KindStemcell = "stemcell"
	KindSnapshot = "snapshot"
	KindPort     = "port"
)

// AdoptArgs are adopt's: the resource gets these tags, and with them this step
// as its owner. One that bears the tags of another deployment than From is
// refused.
type AdoptArgs struct {
	Kind string `json:"kind"` // vm, disk, stemcell
	CID  string `json:"cid"`
	From string `json:"from,omitempty"` // uid
	Tags Tags   `json:"tags"`
}

// AdoptOutputs tell what the cloud knows of an adopted resource.
type AdoptOutputs struct {
	Exists     bool   `json:"exists"`          // false: there is nothing to adopt
	Owned      bool   `json:"owned,omitempty"` // it bears the tags; false: it is used, and never deleted by us
	Name       string `json:"name,omitempty"`
	IP         string `json:"ip,omitempty"`          // vm, as DiscoverIPOutputs
	ServiceIP  string `json:"service_ip,omitempty"`  // vm
	SizeMiB    int    `json:"size_mib,omitempty"`    // disk
	AttachedTo string `json:"attached_to,omitempty"` // disk: VM CID
	Hint       string `json:"hint,omitempty"`        // disk: device path on that VM
}
