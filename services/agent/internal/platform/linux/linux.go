package linux

import (
	"fmt"
	"os"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
)

// Options of a Linux.
type Options struct {
	Home      home.Dir
	Container bool // clock and swap belong to somebody else
	Log       zerolog.Logger
}

// Linux is the machine that this process runs on.
type Linux struct {
	dir       home.Dir
	container bool
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
	return &Linux{dir: o.Home, container: o.Container, log: o.Log}, nil
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
