package messages

import "encoding/json"

// Reads that every CPI serves beside info and has_vm.
const (
	SvcHasDisk   = "has_disk"                      // cpi: CallRequest of DiskOnlyArgs -> bool
	SvcGetDisks  = "get_disks"                     // cpi: CallRequest of VMArgs -> []string
	SvcCalculate = "calculate_vm_cloud_properties" // cpi: CallRequest of CalculateArgs -> cloud_properties
	SvcFind      = "find"                          // cpi: CallRequest of FindArgs -> FindReply
	SvcConsole   = "console"                       // cpi: CallRequest of VMArgs -> ConsoleReply
	SvcPreflight = "preflight"                     // cpi: CallRequest of PreflightArgs -> PreflightReply
)

// CalculateArgs tell what a VM needs.
type CalculateArgs struct {
	CPU           int `json:"cpu"`
	RAM           int `json:"ram"`                 // MiB
	EphemeralDisk int `json:"ephemeral_disk_size"` // MiB
}

// FindArgs say what to look for, by one of these.
type FindArgs struct {
	UID  string `json:"uid,omitempty"`  // deployment uid
	Step string `json:"step,omitempty"` // step id of the create

	Deployment string `json:"deployment,omitempty"` // name: several uids may answer; ports have none
}

// FindReply lists what carries the tag.
type FindReply struct {
	Resources []Resource `json:"resources"`
}

// Resource is one thing in a cloud.
type Resource struct {
	Kind   string `json:"kind"` // Kind...
	CID    string `json:"cid"`
	Name   string `json:"name"`
	Status string `json:"status"`
	Step   string `json:"step"` // step id of the create
}

// ConsoleReply is the end of what a VM printed on its console.
type ConsoleReply struct {
	Output string `json:"output"`
}

// PreflightArgs are what a deploy will ask of the cloud.
type PreflightArgs struct {
	CloudProperties json.RawMessage    `json:"cloud_properties,omitempty"`
	Networks        map[string]Network `json:"networks,omitempty"`
	StemcellCID     string             `json:"stemcell_cid,omitempty"` // of an image that the cloud has
	DiskMiB         int                `json:"disk_mib,omitempty"`
}

// PreflightReply tells how each look went.
type PreflightReply struct {
	Checks []Check `json:"checks"`
}

// Check is one look; without an Error all is well.
type Check struct {
	Name  string `json:"name"` // credentials, clock, certificate, compute quota, volume quota, flavor, image, network <name>, key pair, ...
	Error *Error `json:"error,omitempty"`
}
