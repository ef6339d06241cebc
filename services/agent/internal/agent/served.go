package agent

import (
	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
	"github.com/microbosh/microbosh/services/agent/internal/platform/system"
)

// served is what requests change: a platform that does it itself, as the
// rootless one records it, or this machine.
func served(machine platform.Platform, dir home.Dir) platform.Served {
	if s, ok := machine.(platform.Served); ok {
		return s
	}
	return system.New(dir.Root())
}
