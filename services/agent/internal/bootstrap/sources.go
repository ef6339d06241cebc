package bootstrap

import (
	"encoding/json"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// SourcesOptions choose the sources.
type SourcesOptions struct {
	Home           home.Dir
	Infrastructure string // openstack, aws, dummy
	Metadata       string // URL of the metadata service, default MetadataAddress
	Media          Media  // reads config drives; nil leaves them out
	ConfigFile     string // a BOSH agent.json, whose sources win over the infrastructure's
	Log            zerolog.Logger
}

// Sources are those of the configuration file, else the infrastructure's.
func Sources(o SourcesOptions) ([]Source, error) {
	client := NewClient()
	registry := Registry{Client: client}
	if o.Metadata == "" {
		o.Metadata = MetadataAddress
	}
	if o.ConfigFile != "" {
		return configured(o, registry)
	}
	switch o.Infrastructure {
	case "openstack", "aws":
		sources := []Source{FileSource{Path: o.Home.Bosh("agent-bootstrap-env.json"), Registry: registry}}
		if o.Media != nil {
			sources = append(sources, DriveSource{Media: o.Media, Registry: registry})
		}
		return append(sources,
			MetadataSource{URI: o.Metadata, Client: client, Registry: registry},
			FileSource{Path: o.Home.Bosh("user_data.json"), Registry: registry}, // the original's last resort
		), nil
	case "dummy":
		return []Source{FileSource{Path: o.Home.Bosh("settings.json"), Registry: registry}}, nil
	default:
		return nil, fmt.Errorf("infrastructure '%s' not found: this agent knows 'openstack', 'aws' and 'dummy'", o.Infrastructure)
	}
}

// configured reads Infrastructure.Settings.Sources of a BOSH agent.json.
func configured(o SourcesOptions, registry Registry) ([]Source, error) {
	var config struct {
		Infrastructure struct {
			Settings struct {
				Sources []json.RawMessage
			}
		}
	}
	if err := home.ReadJSON(o.ConfigFile, &config); err != nil {
		return nil, fmt.Errorf("cannot read the agent's configuration: %w", err)
	}
	var sources []Source
	for _, raw := range config.Infrastructure.Settings.Sources {
		var s struct {
			Type, URI, UserDataPath, MetaDataPath, SSHKeysPath, SettingsPath string
			DiskPaths                                                        []string
		}
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, fmt.Errorf("cannot read the agent's configuration %s: %w", o.ConfigFile, err)
		}
		switch s.Type {
		case "HTTP":
			sources = append(sources, MetadataSource{
				URI: s.URI, UserDataPath: s.UserDataPath, SSHKeysPath: s.SSHKeysPath,
				Client: registry.Client, Registry: registry,
			})
		case "File":
			sources = append(sources, FileSource{Path: o.Home.Place(s.SettingsPath), Registry: registry})
		case "ConfigDrive":
			if o.Media != nil {
				sources = append(sources, DriveSource{
					Devices: s.DiskPaths, UserData: s.UserDataPath, MetaData: s.MetaDataPath, Media: o.Media, Registry: registry,
				})
			}
		default:
			o.Log.Warn().Str("source", s.Type).Msg("a source of settings is of an unknown type and left out")
		}
	}
	if len(sources) == 0 {
		return nil, fmt.Errorf("cannot use the agent's configuration %s: it names no source that this agent knows (HTTP, File, ConfigDrive)", o.ConfigFile)
	}
	return sources, nil
}
