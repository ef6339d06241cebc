package manifest

import (
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Tunnel is the way of a VM to its registry where it has none of its own: over
// SSH, opened from outside, as the original had it.
type Tunnel struct {
	User     string // of the VM
	Port     int    // of its sshd
	KeyFile  string // the private key, as the manifest names it
	Registry int    // the port on the VM's own loopback address
}

// Tunnel tells whether the manifest wants one: it names a private key, and the
// registry's endpoint is the VM itself, which is the default.
func (m *Manifest) Tunnel() (Tunnel, bool) {
	section, key := asMap(m.Cloud.Properties[m.Cloud.Plugin]), "private_key"
	if m.Cloud.Plugin == "aws" {
		key = "ec2_private_key"
	}
	t := Tunnel{User: asText(section["ssh_user"]), KeyFile: asText(section[key])}
	t.Port, _ = section["ssh_port"].(int)
	endpoint := asText(asMap(m.Cloud.Properties["registry"])["endpoint"])
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || t.KeyFile == "" || t.Port == 0 || !loopback(u.Hostname()) {
		return Tunnel{}, false
	}
	t.Registry, err = strconv.Atoi(u.Port())
	return t, err == nil && t.Registry > 0
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// Beside is where a file is that a manifest names: beside the manifest, unless
// the name says otherwise.
func Beside(manifest, name string) (string, error) {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		home, err := os.UserHomeDir()
		return filepath.Join(home, rest), err
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(manifest), name)
	}
	return name, nil
}
