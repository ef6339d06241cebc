package messages

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Settings is the document that an agent boots from (BOSH's settings.json, v1
// and v2). It holds secrets in clear as BOSH does, so it travels sealed on
// bosh.v1.> and rests sealed in the registry.
type Settings struct {
	AgentID   string             `json:"agent_id"`
	VM        SettingsVM         `json:"vm"`
	Mbus      string             `json:"mbus"`
	NTP       []string           `json:"ntp"`
	Blobstore Blobstore          `json:"blobstore"`
	Networks  map[string]Network `json:"networks"`
	Disks     Disks              `json:"disks"`
	Env       json.RawMessage    `json:"env,omitempty"`
	IPTables  *IPTables          `json:"iptables,omitempty"`
}

// SettingsVM names the server.
type SettingsVM struct {
	Name string `json:"name"`
}

// Blobstore is a provider (local, dav, ...) and its options.
type Blobstore struct {
	Provider string         `json:"provider"`
	Options  map[string]any `json:"options"`
}

// Disks are device paths; Persistent maps a disk CID to a path or to a map with
// path, volume_id, id.
type Disks struct {
	System     string                     `json:"system"`
	Ephemeral  string                     `json:"ephemeral,omitempty"`
	Persistent map[string]json.RawMessage `json:"persistent"`
}

// IPTables is the 2014 drop list.
type IPTables struct {
	DropOutput []string `json:"drop_output,omitempty"`
}

// Network is one network of a VM, in the shape that manifest, CPI and agent
// share.
type Network struct {
	Type            string          `json:"type"` // dynamic, manual or vip
	IP              string          `json:"ip,omitempty"`
	Netmask         string          `json:"netmask,omitempty"`
	Gateway         string          `json:"gateway,omitempty"`
	DNS             []string        `json:"dns,omitempty"`
	Default         []string        `json:"default,omitempty"` // dns, gateway
	MAC             string          `json:"mac,omitempty"`
	UseDHCP         *bool           `json:"use_dhcp,omitempty"`
	CloudProperties json.RawMessage `json:"cloud_properties,omitempty"`
}

// UserData is what the CPI hands to the server: all three generations of
// agents find in it what they need. Settings fields are merged at top level.
type UserData struct {
	Registry struct {
		Endpoint string `json:"endpoint"` // http://user:password@host:port
	} `json:"registry"`
	Server struct {
		Name string `json:"name"` // the registry's key
	} `json:"server"`
	DNS struct {
		Nameserver []string `json:"nameserver,omitempty"`
	} `json:"dns,omitzero"`
	OpenSSH *struct {
		PublicKey string `json:"public_key"`
	} `json:"openssh,omitempty"`
	Settings
}

// InstancePassword is what one instance reads its own settings over HTTP with,
// its name being the user. It follows from the password of the services, so
// that nobody has to keep it; who has one learns nothing of another's.
func InstancePassword(password, name string) string {
	mac := hmac.New(sha256.New, []byte(password))
	mac.Write([]byte("instance " + name))
	return hex.EncodeToString(mac.Sum(nil))
}
