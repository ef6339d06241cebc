package platform

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// Platform is a kind of machine.
type Platform interface {
	Host
	Disks
}

// Host is what bootstrap changes. Every method may be called again at the next
// boot and must then change nothing more.
type Host interface {
	AuthorizeKeys(ctx context.Context, keys []string) error // of vcap, replacing what was there
	DropOutput(ctx context.Context, destinations []string) error
	SetPassword(ctx context.Context, hash string) error // of root and vcap; crypt(3)
	SetHostname(ctx context.Context, name string) error
	SetupNetworking(ctx context.Context, networks map[string]messages.Network) error
	SetTime(ctx context.Context, servers []string) error
	SetupDataDisk(ctx context.Context, device string) error // "" when the VM has none
	SetupDataSys(ctx context.Context) error
	SetupTmp(ctx context.Context) error
	HardenPermissions(ctx context.Context) error
	SetupLogrotate(ctx context.Context, size string) error        // of the jobs' logs, at each apply
	DefaultNetwork(ctx context.Context) (messages.Network, error) // ip, netmask, gateway of the default route
	Shutdown(ctx context.Context) error
}

// Disks are the persistent disks. A device is what Device found.
type Disks interface {
	Device(ctx context.Context, path string) (string, error) // waits until it is there
	Present(path string) (string, bool)                      // looks once
	Mount(ctx context.Context, device string) (point string, err error)
	Unmount(ctx context.Context, device string) (point string, err error) // "" when it was not mounted
	Mounted(device string) (bool, error)
	Migrate(ctx context.Context, from, to string) error // "" is the store and the one beside it; afterwards only to is mounted
	Usage() map[string]string                           // system, ephemeral, persistent: where to measure
}

// New finds the platform by its name.
func New(name string, dir home.Dir, log zerolog.Logger) (Platform, error) {
	switch name {
	case "rootless", "dummy":
		return NewRootless(dir, log), nil
	default:
		return nil, fmt.Errorf("platform '%s' not found: this agent knows 'rootless'", name)
	}
}
