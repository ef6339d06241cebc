package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/platform"
	"github.com/microbosh/microbosh/services/agent/internal/platform/linux"
)

// newMachine finds the platform by its name.
func newMachine(c Config, dir home.Dir, log zerolog.Logger) (platform.Platform, error) {
	options, err := platformOptions(c.ConfigFile)
	if err != nil {
		return nil, err
	}
	switch c.Platform {
	case "rootless", "dummy":
		return platform.NewRootless(dir, log), nil
	case "ubuntu", "centos", "debian", "linux":
		o := linux.Options{Home: dir, Container: linux.InContainer(), Log: log.With().Str("platform", c.Platform).Logger()}
		options.apply(&o)
		return linux.New(o)
	default:
		return nil, fmt.Errorf("platform '%s' not found: this agent knows ubuntu, centos, debian, linux and rootless", c.Platform)
	}
}

// stemcellOptions are Platform.Linux of a stemcell's agent.json.
type stemcellOptions map[string]json.RawMessage

func platformOptions(configFile string) (stemcellOptions, error) {
	if configFile == "" {
		return nil, nil
	}
	var config struct {
		Platform struct {
			Linux stemcellOptions
		}
	}
	if err := home.ReadJSON(configFile, &config); err != nil {
		return nil, fmt.Errorf("cannot read the agent's configuration: %w", err)
	}
	return config.Platform.Linux, nil
}

// apply sets what has a meaning here and says what has none.
func (s stemcellOptions) apply(o *linux.Options) {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		value := s[name]
		on := string(value) == "true"
		var text string
		_ = json.Unmarshal(value, &text) // of another kind: ""
		var why string
		switch name {
		case "UseDefaultTmpDir":
			o.KeepTmp = on
		case "SkipDiskSetup":
			o.KeepDisks = on
		case "VirtioDevicePrefix":
			if text != "" {
				o.VirtioID = text + "-"
			}
		case "DevicePathResolutionType":
			if text != "" && text != "virtio" {
				why = "disks are found by device or by-id name"
			}
		case "CreatePartitionIfNoEphemeralDisk":
			if on {
				why = "without an ephemeral disk data is a folder of the root disk"
			}
		case "PartitionerType":
			why = "sfdisk writes GPT, of disks of any size"
		case "ServiceManager":
			why = "it is found out"
		default:
			why = "this agent does not know it"
		}
		if why != "" {
			o.Log.Info().Str("option", name).RawJSON("value", value).Str("why", why).Msg("an option of agent.json has no effect")
		}
	}
}
