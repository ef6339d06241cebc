package devcloud

import (
	"context"
	"net/netip"
)

// Hypervisor runs servers. Calls for one server never overlap.
type Hypervisor interface {
	// Boot starts a server and returns when its agent was started. A server that
	// was booted before finds its files as it left them.
	Boot(ctx context.Context, g Guest) (Machine, error)
	// Remove ends what still runs of a server and removes its files.
	Remove(g Guest) error
	// Forget removes what was kept of an image.
	Forget(i Image) error
}

// Machine is a server that runs.
type Machine interface {
	// Attach shows a volume's folder as a device, /dev/sdb for example.
	Attach(device, folder string) error
	// Detach takes it away.
	Detach(device string) error
	// Stop ends every process of the server; a gentle one asks first.
	Stop(gentle bool) error
	// Ended is closed once the server ended, by Stop or by itself.
	Ended() <-chan struct{}
}

// Guest is what a hypervisor learns about a server.
type Guest struct {
	ID, Name string
	Dir      string     // the server's own folder; console.log in it is its console
	Address  netip.Addr // its first fixed address
	Image    Image
	UserData []byte
	Key      string            // OpenSSH public key, "" without one
	Meta     map[string]string // as given by the user
	Disks    map[string]string // folders by device
	Files    []File            // to inject before the first boot
}

// Image is the root file system of a server.
type Image struct {
	ID   string
	Path string // a plain tar
}

// File is one to inject into a server, readable for its owner alone.
type File struct {
	Path string
	Data []byte
}

// Console is where a guest's console log lies in its folder.
const Console = "console.log"
