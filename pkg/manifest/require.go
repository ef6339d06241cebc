package manifest

import (
	"net/netip"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/microbosh/microbosh/pkg/messages"
)

// at is where a plain value is written, or else its key or the nearest key above.
func (c *checker) at(path string) *yaml.Node {
	if n := c.values[path]; n != nil && n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" {
		return n
	}
	for ; path != ""; path = path[:max(strings.LastIndexByte(path, '.'), 0)] {
		if n := c.keys[path]; n != nil {
			return n
		}
	}
	return &yaml.Node{Line: 1, Column: 1}
}

// requirements are what a manifest cannot do without.
func (c *checker) requirements(tree map[string]any) {
	if name := tree["name"]; name == nil || name == "" {
		c.problem(c.at("name"), "name is not defined in deployment manifest")
	} else if name, ok := name.(string); ok {
		if _, err := messages.ParseDeployment(name); err != nil {
			c.problem(c.at("name"), "name: %v: %s", err, messages.AsError(err).Hint)
		}
	}
	switch level := tree2(tree, "logging", "level"); level := level.(type) {
	case string:
		if !slices.Contains(levels(), strings.ToUpper(level)) {
			c.problem(c.at("logging.level"), "logging.level must be DEBUG, INFO, WARN, ERROR or FATAL")
		}
	}
	if disk, ok := tree2(tree, "resources", "persistent_disk").(int); ok && disk < 0 {
		c.problem(c.at("resources.persistent_disk"), "resources.persistent_disk is negative")
	}
	plugin := ""
	if tree["cloud"] == nil {
		c.problem(c.at("cloud"), "No cloud properties defined")
	} else {
		plugin = c.plugin(tree)
	}
	if tree["network"] == nil {
		c.problem(c.at("network"), "network is not defined in deployment manifest")
	} else {
		c.network(asMap(tree["network"]), plugin)
	}
}

func (c *checker) plugin(tree map[string]any) string {
	switch plugin := tree2(tree, "cloud", "plugin").(type) {
	case string:
		properties := asMap(tree2(tree, "cloud", "properties"))
		switch plugin {
		case "openstack":
			c.openstack(properties)
		case "aws":
			c.aws(properties)
		case "vsphere":
			c.first(properties, "vcenters", "vsphere", "host", "user", "password")
			c.manualOnly(asMap(tree["network"]), plugin)
		case "vcloud":
			c.first(properties, "vcds", "vcloud", "url", "user", "password")
			c.manualOnly(asMap(tree["network"]), plugin)
		case "":
			c.problem(c.at("cloud.plugin"), "No cloud plugin defined")
		default:
			c.problem(c.at("cloud.plugin"), "Could not find Provider Plugin: %s", clip(plugin))
		}
		return plugin
	case nil:
		if _, isMap := tree["cloud"].(map[string]any); isMap {
			c.problem(c.at("cloud.plugin"), "No cloud plugin defined")
		}
	}
	return ""
}

func (c *checker) network(network map[string]any, plugin string) {
	kind, _ := network["type"].(string)
	switch kind {
	case "", "dynamic":
	case "manual":
		if network["ip"] == nil {
			c.problem(c.at("network.ip"), "network.ip is needed with type manual")
		}
		if plugin == "openstack" && asMap(network["cloud_properties"])["net_id"] == nil {
			c.problem(c.at("network.cloud_properties"), "Manual network must have net_id")
		}
	default:
		c.problem(c.at("network.type"), "network.type must be dynamic or manual")
	}
	for _, key := range []string{"ip", "vip", "netmask", "gateway"} {
		c.address(network[key], "network."+key)
	}
	dns, _ := network["dns"].([]any)
	for _, server := range dns {
		c.address(server, "network.dns")
	}
}

func (c *checker) address(v any, path string) {
	if s, ok := v.(string); ok {
		if _, err := netip.ParseAddr(s); err != nil {
			c.problem(c.at(path), "%s must be an IP address", path)
		}
	}
}

// tree2 is the value at tree[first][second].
func tree2(tree map[string]any, first, second string) any { return asMap(tree[first])[second] }
