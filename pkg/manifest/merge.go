package manifest

import (
	"reflect"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
)

// defaultDisk is the original's persistent disk, in MiB.
const defaultDisk = 4096

// defaults are the original's for a plugin.
func defaults(plugin string) map[string]any {
	type m = map[string]any
	type l = []any
	network := m{"type": "dynamic", "cloud_properties": m{}}
	resources := m{"persistent_disk": defaultDisk, "cloud_properties": m{"instance_type": "m1.small"}}
	blobstore := m{"provider": "local", "options": m{"blobstore_path": "/var/vcap/micro_bosh/data/cache"}}
	properties := m{"stemcell": m{}, "agent": m{"ntp": l{}, "blobstore": blobstore}}
	registry := func(port string) m {
		return m{"endpoint": "http://admin:admin@localhost:" + port, "user": "admin", "password": "admin"}
	}
	switch plugin {
	case "openstack":
		properties["openstack"] = m{
			"endpoint_type": "publicURL", "default_security_groups": l{}, "ssh_user": "vcap", "ssh_port": 22, "ssh_wait": 60,
		}
		properties["registry"] = registry("25889")
	case "aws":
		properties["aws"] = m{"max_retries": 2, "default_security_groups": l{}, "ssh_user": "vcap", "ssh_port": 22, "ssh_wait": 60}
		properties["registry"] = registry("25888")
		properties["stemcell"] = m{"kernel_id": nil, "disk": 4096}
	case "vsphere":
		network = m{"dns": l{}, "cloud_properties": m{"name": nil}}
		resources["cloud_properties"] = m{"ram": 1024, "disk": 4096, "cpu": 1}
		properties["vcenters"] = l{}
	case "vcloud":
		network = m{"dns": l{}, "cloud_properties": m{"name": nil}}
		resources["cloud_properties"] = m{"ram": 1024, "disk": 4096, "cpu": 1}
		properties["vcds"] = l{}
	}
	return m{
		"logging": m{"level": "INFO"}, "network": network, "env": m{"bosh": m{"password": nil}}, "resources": resources,
		"cloud":      m{"properties": properties},
		"apply_spec": m{"agent": m{"blobstore": m{}, "nats": m{}}, "properties": m{}},
	}
}

// merge lays over on base: maps merge, lists concatenate without doubles,
// anything else is over's. Unlike the original, a null keeps the default: there
// an empty `registry:` erased the registry's defaults by mistake.
func merge(base, over any) any {
	switch over := over.(type) {
	case nil:
		return base
	case map[string]any:
		b, ok := base.(map[string]any)
		if !ok {
			b = nil
		}
		out := make(map[string]any, len(b)+len(over))
		for k, v := range b {
			out[k] = v
		}
		for k, v := range over {
			out[k] = merge(b[k], v)
		}
		return out
	case []any:
		b, ok := base.([]any)
		if !ok {
			return over
		}
		out := append([]any{}, b...)
		for _, v := range over {
			if !contains(out, v) {
				out = append(out, v)
			}
		}
		return out
	default:
		return over
	}
}

func contains(list []any, v any) bool {
	for _, have := range list {
		if reflect.DeepEqual(have, v) {
			return true
		}
	}
	return false
}

// fromTree makes a Manifest of a checked tree.
func fromTree(raw map[string]any) *Manifest {
	plugin := asText(asMap(raw["cloud"])["plugin"])
	tree := asMap(merge(defaults(plugin), raw))
	network, resources, cloud := asMap(tree["network"]), asMap(tree["resources"]), asMap(tree["cloud"])
	_, hasDisk := asMap(raw["resources"])["persistent_disk"].(int)
	disk, _ := resources["persistent_disk"].(int)
	m := &Manifest{
		Name: asText(tree["name"]), Dir: asText(tree["dir"]),
		Logging: Logging{Level: strings.ToUpper(asText(asMap(tree["logging"])["level"])), File: asText(asMap(tree["logging"])["file"])},
		Network: Network{
			Type: asText(network["type"]), VIP: asText(network["vip"]), IP: asText(network["ip"]),
			Netmask: asText(network["netmask"]), Gateway: asText(network["gateway"]),
			DNS: textList(network["dns"]), CloudProperties: asMap(network["cloud_properties"]),
		},
		Env: asMap(tree["env"]),
		Resources: Resources{
			PersistentDisk: disk, HasPersistentDisk: hasDisk, CloudProperties: asMap(resources["cloud_properties"]),
			DiskProperties: asMap(resources["persistent_disk_cloud_properties"]),
		},
		Cloud:     Cloud{Plugin: plugin, Properties: asMap(cloud["properties"])},
		ApplySpec: asMap(tree["apply_spec"]),
		raw:       raw,
	}
	if m.Network.Type == "" {
		m.Network.Type = "dynamic"
		if network["type"] == nil && m.Network.IP != "" { // vsphere and vcloud name no type
			m.Network.Type = "manual"
		}
	}
	return m
}

func textList(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, item := range list {
		out = append(out, asText(item))
	}
	return out
}

// Networks are the networks that the CPI is given: "bosh", and "vip" when the
// manifest names a floating IP.
func (m *Manifest) Networks() map[string]messages.Network {
	out := map[string]messages.Network{"bosh": {
		Type: m.Network.Type, IP: m.Network.IP, Netmask: m.Network.Netmask, Gateway: m.Network.Gateway, DNS: m.Network.DNS,
		Default: []string{"dns", "gateway"}, CloudProperties: encode(m.Network.CloudProperties),
	}}
	if m.Network.VIP != "" {
		out["vip"] = messages.Network{Type: "vip", IP: m.Network.VIP, CloudProperties: encode(map[string]any{})}
	}
	return out
}
