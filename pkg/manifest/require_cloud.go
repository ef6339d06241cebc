package manifest

import (
	"net/url"
	"strings"

	"gopkg.in/yaml.v3"
)

const cloudProperties = "cloud.properties."

// section is a plugin's part of cloud.properties, which has to be there.
func (c *checker) section(properties map[string]any, plugin string) (map[string]any, bool) {
	section, ok := properties[plugin].(map[string]any)
	if !ok && properties[plugin] == nil {
		c.problem(c.at(cloudProperties+plugin), "%s%s is needed with plugin %s", cloudProperties, plugin, plugin)
	}
	return section, ok
}

func given(m map[string]any, key string) bool { v := m[key]; return v != nil && v != "" }

func (c *checker) openstack(properties map[string]any) {
	const section = cloudProperties + "openstack"
	os, ok := c.section(properties, "openstack")
	if !ok {
		return
	}
	if address, _ := os["auth_url"].(string); !given(os, "auth_url") {
		if given(os, "cloud") {
			return // clouds.yaml says the rest, where the CPI runs
		}
		c.problem(c.at(section+".auth_url"), "%s.auth_url is needed", section)
	} else if u, err := url.Parse(address); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		c.problem(c.at(section+".auth_url"), "%s.auth_url must be an http or https URL", section)
	}
	password := given(os, "username") && given(os, "api_key")
	credential := given(os, "application_credential_id") && given(os, "application_credential_secret")
	if password == credential {
		c.problem(c.at(section), "%s needs either username and api_key, or application_credential_id and application_credential_secret", section)
	}
	c.privateKey(os, "openstack", "private_key")
}

// privateKey checks that the file exists when it is a file.
func (c *checker) privateKey(section map[string]any, plugin, name string) {
	key, _ := section[name].(string)
	if key == "" || strings.Contains(key, "-----BEGIN") || c.exists(key) {
		return
	}
	shown := key
	if strings.ContainsAny(key, "\n") || len(key) > 200 {
		shown = "..." // no path, so it may be the key itself
	}
	c.problem(c.at(cloudProperties+plugin+"."+name), "properties.%s.%s '%s' does not exist", plugin, name, shown)
}

func (c *checker) aws(properties map[string]any) {
	const section = cloudProperties + "aws"
	aws, ok := c.section(properties, "aws")
	if !ok {
		return
	}
	if !given(aws, "credentials_source") && !(given(aws, "access_key_id") && given(aws, "secret_access_key")) {
		c.problem(c.at(section), "%s needs access_key_id and secret_access_key", section)
	}
	if !given(aws, "region") && !given(aws, "ec2_endpoint") {
		c.problem(c.at(section), "%s needs region or ec2_endpoint", section)
	}
	c.privateKey(aws, "aws", "ec2_private_key")
}

// first checks the first entry of a list, the one that is used; newer CPIs have
// a section of their own instead.
func (c *checker) first(properties map[string]any, list, plugin string, needed ...string) {
	if len(asMap(properties[plugin])) > 0 {
		return
	}
	entries, isList := properties[list].([]any)
	if !isList && properties[list] != nil {
		return // has been told
	}
	if len(entries) == 0 {
		c.problem(c.at(cloudProperties+list), "%s%s is needed with plugin %s", cloudProperties, list, plugin)
		return
	}
	at := c.at(cloudProperties + list)
	if n := c.values[cloudProperties+list]; n != nil && n.Kind == yaml.SequenceNode && len(n.Content) > 0 {
		at = n.Content[0]
	}
	entry := asMap(entries[0])
	for _, key := range needed {
		if !given(entry, key) {
			c.problem(at, "%s%s[0] needs %s", cloudProperties, list, key)
		}
	}
}

// manualOnly is what clouds need that give a VM no address of their own.
func (c *checker) manualOnly(network map[string]any, plugin string) {
	if network == nil {
		return
	}
	if !given(network, "ip") {
		c.problem(c.at("network.ip"), "network.ip is needed with plugin %s: nothing else tells where the VM answers", plugin)
	}
	if !given(asMap(network["cloud_properties"]), "name") {
		c.problem(c.at("network.cloud_properties"), "network.cloud_properties.name is needed with plugin %s: the network that the VM is in", plugin)
	}
}
