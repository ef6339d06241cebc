package linux

import (
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

// Options of a Linux.
type Options struct {
	Home      home.Dir
	Container bool          // clock and swap belong to somebody else
	KeepTmp   bool          // /tmp gets no file system of its own
	KeepDisks bool          // the ephemeral disk is not partitioned, formatted or mounted
	Wait      time.Duration // for a disk's device, default platform.DeviceWait
	VirtioID  string        // what begins the names of disks in /dev/disk/by-id, default virtio-
	Log       zerolog.Logger
}

// Linux is the machine that this process runs on.
type Linux struct {
	dir       home.Dir
	container bool
	keepTmp   bool
	keepDisks bool
	wait      time.Duration
	virtioID  string
	log       zerolog.Logger
}

var _ platform.Platform = (*Linux)(nil)

// New refuses to change a machine by halves: as another user than root, or
// below another root folder.
func New(o Options) (*Linux, error) {
	if o.Home.Root() != "/" {
		return nil, fmt.Errorf("cannot configure this machine: the root folder is %s, and must be / (-r /); -P rootless changes nothing outside its base folder", o.Home.Root())
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("cannot configure this machine: it takes root; -P rootless does without")
	}
	if o.VirtioID == "" {
		o.VirtioID = virtioID
	}
	if o.Wait == 0 {
		o.Wait = platform.DeviceWait
	}
	return &Linux{
		dir: o.Home, container: o.Container, keepTmp: o.KeepTmp, keepDisks: o.KeepDisks, wait: o.Wait, virtioID: o.VirtioID, log: o.Log,
	}, nil
}

// InContainer tells whether the kernel is shared, by what systemd, docker and
// devcloud leave as a sign.
func InContainer() bool {
	if os.Getenv("container") != "" {
		return true
	}
	for _, sign := range []string{"/run/systemd/container", "/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(sign); err == nil {
			return true
		}
	}
	return false
}

func (l *Linux) record(step string, changes ...platform.Change) error {
	return platform.Record(l.dir, l.log, step, changes...)
}
