package agent

import (
	"fmt"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
	"github.com/microbosh/microbosh/services/agent/internal/platform/linux"
)

// newMachine finds the platform by its name.
func newMachine(name string, dir home.Dir, log zerolog.Logger) (platform.Platform, error) {
	switch name {
	case "rootless", "dummy":
		return platform.NewRootless(dir, log), nil
	case "ubuntu", "centos", "debian", "linux":
		return linux.New(linux.Options{
			Home: dir, Container: linux.InContainer(), Log: log.With().Str("platform", name).Logger(),
		})
	default:
		return nil, fmt.Errorf("platform '%s' not found: this agent knows ubuntu, centos, debian, linux and rootless", name)
	}
}
