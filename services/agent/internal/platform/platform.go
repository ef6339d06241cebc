package platform

import (
	"context"
	"errors"
	"fmt"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Platform is a kind of machine.
type Platform interface {
	Host
	Disks
	Media
}

// Host is what bootstrap changes. Every method may be called again at the next
// boot and must then change nothing more.
type Host interface {
	AuthorizeKeys(ctx context.Context, keys []string) error                 // of vcap, replacing what was there
	Drop(ctx context.Context, drops []Drop) error                           // only root may send there; replaces what was dropped before
	SetPassword(ctx context.Context, hash string, accounts ...string) error // crypt(3)
	SetHostname(ctx context.Context, name string) error
	SetupNetworking(ctx context.Context, networks map[string]messages.Network) error
	SetTime(ctx context.Context, servers []string) error
	SetupDataDisk(ctx context.Context, device string) error // "" when the VM has none
	SetupDataSys(ctx context.Context) error
	SetupTmp(ctx context.Context) error
	HardenPermissions(ctx context.Context) error
	SetupLogrotate(ctx context.Context, size string) error        // of the jobs' logs, at each apply
	GiveToJobs(ctx context.Context, dir string) error             // what jobs that are not root may read
	DefaultNetwork(ctx context.Context) (messages.Network, error) // ip, netmask, gateway of the default route
	Shutdown(ctx context.Context) error
}

// Disks are the persistent disks. A device is what Device found.
type Disks interface {
	Device(ctx context.Context, path string) (string, error) // waits until it is there
	Present(path string) (string, bool)                      // looks once
	Mount(ctx context.Context, device string, o MountOptions) (point string, err error)
	Unmount(ctx context.Context, device string) (point string, err error) // "" when it was not mounted
	Mounted(device string) (bool, error)
	Migrate(ctx context.Context, from, to string) error // "" is the store and the one beside it; afterwards only to is mounted
	Usage() map[string]string                           // system, ephemeral, persistent: where to measure
}

// Media are what settings can be read from beside disks.
type Media interface {
	ReadMedium(ctx context.Context, device string, files ...string) (map[string][]byte, error)
}

// Drop is a destination that only root may send to.
type Drop struct {
	To   string // an address, a network, or a name
	Port uint16 // 0 is every one
	Must bool   // a name that cannot be resolved is an error
}

// MountOptions say how a persistent disk is mounted.
type MountOptions struct {
	Format  bool     // a blank disk may be partitioned and formatted
	FS      string   // ext4 (default) or xfs, when it is formatted
	Options []string // of mount(8)
}

// ErrBlank is a disk that holds nothing while formatting it was not allowed.
var ErrBlank = errors.New("the disk is blank")

// Hosts is /etc/hosts of a machine, as BOSH writes it.
func Hosts(name string) string {
	return "127.0.0.1 localhost " + name + "\n\n" +
		"# The following lines are desirable for IPv6 capable hosts\n" +
		"::1 localhost ip6-localhost ip6-loopback " + name + "\n" +
		"fe00::0 ip6-localnet\nff00::0 ip6-mcastprefix\nff02::1 ip6-allnodes\n" +
		"ff02::2 ip6-allrouters\nff02::3 ip6-allhosts\n"
}

// Logrotate is the file for logrotate.
func Logrotate(logs, size string) string {
	return fmt.Sprintf("%[1]s/*.log %[1]s/*/*.log %[1]s/*/*/*.log {\n  missingok\n  rotate 7\n  compress\n"+
		"  delaycompress\n  copytruncate\n  size=%[2]s\n}\n", logs, size)
}
