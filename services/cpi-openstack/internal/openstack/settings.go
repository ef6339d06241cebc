package openstack

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/microbosh/microbosh/pkg/messages"
)

// maxUserData is what Nova takes, in base64.
const maxUserData = 65535

// settingsOf is the document that the agent boots from.
func settingsOf(p properties, secrets messages.StepSecrets, args messages.CreateVMArgs, networks map[string]messages.Network, ephemeral bool) messages.Settings {
	settings := messages.Settings{
		AgentID: args.AgentID, VM: messages.SettingsVM{Name: args.Name},
		Mbus: first(secrets.Mbus, p.Agent.Mbus), NTP: p.Agent.NTP, Networks: networks,
		Blobstore: messages.Blobstore{
			Provider: "local", Options: map[string]any{"blobstore_path": "/var/vcap/micro_bosh/data/cache"},
		},
		Disks: messages.Disks{System: "/dev/sda", Persistent: map[string]json.RawMessage{}},
	}
	if p.Agent.Blobstore != nil {
		settings.Blobstore = *p.Agent.Blobstore
	}
	if settings.NTP == nil {
		settings.NTP = []string{}
	}
	if ephemeral {
		settings.Disks.Ephemeral = "/dev/sdb"
	}
	if string(secrets.Env) != "null" {
		settings.Env = secrets.Env
	}
	return settings
}

// userData holds the complete settings, and where to read them again. When the
// whole is more than Nova takes, the registry alone must do.
func userData(settings messages.Settings, endpoint, publicKey string) ([]byte, error) {
	var data messages.UserData
	data.Registry.Endpoint = endpoint
	data.Server.Name = settings.VM.Name
	for _, name := range slices.Sorted(maps.Keys(settings.Networks)) {
		if dns := settings.Networks[name].DNS; len(dns) > 0 {
			data.DNS.Nameserver = dns
			break
		}
	}
	if publicKey != "" {
		data.OpenSSH = &struct {
			PublicKey string `json:"public_key"`
		}{publicKey}
	}
	data.Settings = settings
	out, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the user data: %w", err)
	}
	if base64.StdEncoding.EncodedLen(len(out)) <= maxUserData {
		return out, nil
	}
	short := map[string]any{"registry": data.Registry, "server": data.Server, "networks": settings.Networks}
	if len(data.DNS.Nameserver) > 0 {
		short["dns"] = data.DNS
	}
	if data.OpenSSH != nil {
		short["openssh"] = data.OpenSSH
	}
	if out, err = json.Marshal(short); err != nil {
		return nil, fmt.Errorf("cannot encode the user data: %w", err)
	}
	return out, nil
}
