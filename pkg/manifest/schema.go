package manifest

// kind is what a value must be. Null fits every kind: it means the default.
type kind int

const (
	anything kind = iota
	text
	number
	boolean
	texts // a list of strings
	hash
	list
)

func (k kind) String() string {
	return [...]string{"anything", "a string", "a whole number", "true or false", "a list of strings", "a map", "a list"}[k]
}

// rule describes one key. A hash without keys is free-form; one with open is
// checked where it is known and takes other keys too. A value is a secret
// unless it is harmless.
type rule struct {
	kind     kind
	keys     map[string]rule
	open     bool
	harmless bool
	needed   bool
	words    []string // the only texts that there are
}

func freely(harmless bool) rule { return rule{kind: hash, harmless: harmless} }

func plain(k kind) rule  { return rule{kind: k, harmless: true} }
func secret(k kind) rule { return rule{kind: k} }

func words(list []string) rule { return rule{kind: text, harmless: true, words: list} }

func (r rule) always() rule {
	r.needed = true
	return r
}

func levels() []string   { return []string{"DEBUG", "INFO", "WARN", "ERROR", "FATAL"} } // in any case of letters
func plugins() []string  { return []string{"openstack", "aws", "vsphere", "vcloud"} }
func networks() []string { return []string{"dynamic", "manual"} }

// schema is micro_bosh.yml.
func schema() rule {
	return rule{kind: hash, keys: map[string]rule{
		"name":    plain(text).always(),
		"dir":     plain(text),
		"logging": {kind: hash, keys: map[string]rule{"level": words(levels()), "file": plain(text)}},
		"network": {kind: hash, needed: true, keys: map[string]rule{
			"type": words(networks()), "vip": plain(text), "ip": plain(text), "netmask": plain(text), "gateway": plain(text),
			"dns": plain(texts), "cloud_properties": freely(true),
		}},
		"env": freely(false),
		"resources": {kind: hash, keys: map[string]rule{
			"persistent_disk": plain(number), "persistent_disk_cloud_properties": freely(true), "cloud_properties": freely(true),
		}},
		"cloud": {kind: hash, needed: true, keys: map[string]rule{
			"plugin": words(plugins()).always(),
			"properties": {kind: hash, open: true, keys: map[string]rule{
				"openstack": {kind: hash, open: true, keys: openstack()},
				"aws":       {kind: hash, open: true, keys: aws()},
				"vsphere":   freely(false),
				"vcloud":    freely(false),
				"vcds":      secret(list),
				"vcenters":  secret(list),
				"registry":  {kind: hash, keys: map[string]rule{"endpoint": secret(text), "user": secret(text), "password": secret(text)}},
				"stemcell":  freely(true),
				"agent": {kind: hash, keys: map[string]rule{
					"ntp":       plain(texts),
					"mbus":      secret(text),
					"blobstore": {kind: hash, keys: map[string]rule{"provider": secret(text), "options": freely(false)}},
				}},
			}},
		}},
		"apply_spec": {kind: hash, keys: map[string]rule{
			"agent":      {kind: hash, open: true, keys: map[string]rule{"blobstore": freely(false), "nats": freely(false)}},
			"properties": freely(false),
		}},
	}}
}

// openstack are the connection's keys of both generations.
func openstack() map[string]rule {
	keys := map[string]rule{
		"username": secret(text), "api_key": secret(text), "private_key": secret(text),
		"application_credential_id": secret(text), "application_credential_secret": secret(text),
		"connection_options": {kind: hash, open: true, keys: map[string]rule{
			"ssl_verify_peer": plain(boolean), "ssl_ca_file": plain(text), "ca_cert": plain(text),
			"connect_timeout": plain(number), "read_timeout": plain(number), "write_timeout": plain(number),
		}},
		"default_security_groups": plain(texts),
		"ssh_port":                plain(number), "ssh_wait": plain(number),
		"state_timeout": plain(number), "wait_resource_poll_interval": plain(number),
	}
	for _, name := range []string{
		"auth_url", "cloud", "tenant", "project", "project_id", "domain", "user_domain_name", "project_domain_name", "region",
		"endpoint_type", "default_key_name", "default_volume_type", "config_drive", "ssh_user",
	} {
		keys[name] = plain(text)
	}
	for _, name := range []string{
		"stemcell_public_visibility", "boot_from_volume", "use_dhcp", "ignore_server_availability_zone",
		"human_readable_vm_names", "use_nova_networking",
	} {
		keys[name] = plain(boolean)
	}
	return keys
}

// aws are the 2014 connection's keys; other CPIs are free to know more.
func aws() map[string]rule {
	return map[string]rule{
		"access_key_id": secret(text), "secret_access_key": secret(text), "ec2_private_key": secret(text),
		"ec2_endpoint": plain(text), "region": plain(text), "max_retries": plain(number), "default_key_name": plain(text),
		"default_security_groups": plain(texts), "ssh_user": plain(text), "ssh_port": plain(number), "ssh_wait": plain(number),
	}
}
