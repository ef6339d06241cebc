package devcloud

import (
	"strings"
)

// Hypervisor boots servers.
type Hypervisor interface {
	// Boot starts a machine and returns once it runs. Its error becomes the
	// server's fault text.
	Boot(MachineSpec) (Machine, error)
}

// Machine is a booted server.
type Machine interface {
	Stop() error     // ends everything that runs in it
	Console() string // the last of what it printed
	Attach(VolumeSpec) error
	Detach(VolumeSpec) error
}

// MachineSpec is what a server is made from.
type MachineSpec struct {
	ID, Name  string
	Dir       string // its own folder
	Image     string // root.img
	IP        string
	UserData  []byte
	PublicKey string
	Volumes   []VolumeSpec
}

// VolumeSpec is a volume and where a machine shows it.
type VolumeSpec struct {
	ID     string
	Dir    string
	Device string // /dev/sdX
}

// pythonDict reads the dictionaries that gophercloud sends in Cinder's metadata
// filter: {'k':'v','k2':'v2'}.
func pythonDict(s string) map[string]string {
	out := map[string]string{}
	for _, pair := range strings.Split(strings.Trim(s, "{} "), ",") {
		key, value, ok := strings.Cut(pair, ":")
		if ok {
			out[strings.Trim(key, "' ")] = strings.Trim(value, "' ")
		}
	}
	return out
}
