package manifest

// about tells what each key of micro_bosh.yml is for: in the JSON Schema, and in
// the table of docs/manifest.md. A key is named with all that it is below.
func about() map[string]string {
	out := map[string]string{
		"name":          "The deployment's name, and its Director's: 1 to 63 letters, digits, - and _.",
		"dir":           "Read for the original's sake: bosh-deployments.yml lies beside the manifest.",
		"logging":       "Kept for the fingerprint of old deployments.",
		"logging.level": "How much the original logged.",
		"logging.file":  "Where the original logged to.",

		"network":                  "The VM's network.",
		"network.type":             "dynamic: the cloud chooses the address; manual: ip is the address.",
		"network.vip":              "A floating IP that is allocated already.",
		"network.ip":               "The VM's address; needed with type manual.",
		"network.netmask":          "Of the VM's address, for a static set-up.",
		"network.gateway":          "Of the VM's address, for a static set-up.",
		"network.dns":              "The VM's name servers.",
		"network.cloud_properties": "For the CPI; of openstack net_id (needed with type manual) and security_groups.",

		"env": "Given to the agent: bosh.password (a crypt hash), bosh.credentials, and anything else.",

		"resources":                 "What the VM is made of.",
		"resources.persistent_disk": "Its persistent disk in MiB, 0 for none; has to be said for a new deployment.",
		"resources.persistent_disk_cloud_properties": "For the CPI's disk; of openstack type.",
		"resources.cloud_properties":                 "For the CPI's VM; of openstack instance_type, availability_zone, key_name, image_id and more.",

		"cloud":            "The cloud and how it is reached.",
		"cloud.plugin":     "Which cloud, and with it which CPI.",
		"cloud.properties": "For the CPI, the registry and the agent.",

		"cloud.properties.openstack": "The connection to OpenStack.",
		"cloud.properties.aws":       "The connection to AWS.",
		"cloud.properties.vsphere":   "The connection to vSphere, in the CPI's own words.",
		"cloud.properties.vcloud":    "The connection to vCloud, in the CPI's own words.",
		"cloud.properties.vcenters":  "vCenters; the first one is used, with its host, user and password.",
		"cloud.properties.vcds":      "vCloud Directors; the first one is used, with its url, user and password.",
		"cloud.properties.stemcell":  "Laid over the cloud_properties of the stemcell.",

		"cloud.properties.registry":          "The registry as the VM sees it.",
		"cloud.properties.registry.endpoint": "Its URL; with the host localhost and a private_key the VM is led there over SSH.",
		"cloud.properties.registry.user":     "Its user in settings of old; credentials are made for each VM.",
		"cloud.properties.registry.password": "Its password in settings of old; credentials are made for each VM.",

		"cloud.properties.agent":                    "What the agent is told.",
		"cloud.properties.agent.ntp":                "Its time servers.",
		"cloud.properties.agent.mbus":               "How it is reached: https://USER:PASSWORD@0.0.0.0:6868 (it is called) or nats:// (it comes to the bus that deploys).",
		"cloud.properties.agent.blobstore":          "Where it reads and writes blobs.",
		"cloud.properties.agent.blobstore.provider": "local, dav, s3 or what else the agent knows.",
		"cloud.properties.agent.blobstore.options":  "The provider's own.",

		"apply_spec":                 "Laid over the stemcell's apply spec.",
		"apply_spec.agent":           "What the agents of the Director in the VM are told.",
		"apply_spec.agent.blobstore": "The blobstore of the Director's agents.",
		"apply_spec.agent.nats":      "The bus of the Director's agents.",
		"apply_spec.properties":      "Properties of the jobs.",
	}
	for _, cloud := range []string{"openstack", "aws"} {
		for key, text := range map[string]string{
			"default_key_name":        "The key pair of VMs that name none.",
			"default_security_groups": "The security groups of networks that name none.",
			"ssh_user":                "Who the image lets in over SSH, for the tunnel to the registry.",
			"ssh_port":                "Where the VM's sshd listens.",
			"ssh_wait":                "Read for the original's sake: what fails is tried again at once.",
		} {
			out["cloud.properties."+cloud+"."+key] = text
		}
	}
	for key, text := range aboutOpenStack() {
		out["cloud.properties.openstack."+key] = text
	}
	for key, text := range map[string]string{
		"access_key_id":     "The credentials' id.",
		"secret_access_key": "The credentials' secret.",
		"ec2_private_key":   "The private half of default_key_name, a file.",
		"ec2_endpoint":      "Where EC2 answers, instead of the region's own.",
		"region":            "The region.",
		"max_retries":       "How often the CPI asks again.",
	} {
		out["cloud.properties.aws."+key] = text
	}
	return out
}

func aboutOpenStack() map[string]string {
	return map[string]string{
		"auth_url":                           "Keystone, http://HOST:5000/v3; needed unless cloud names one of clouds.yaml.",
		"cloud":                              "A name in clouds.yaml, instead of auth_url and credentials.",
		"username":                           "The user; needed with api_key, unless there is an application credential.",
		"api_key":                            "The user's password.",
		"application_credential_id":          "An application credential, instead of username and api_key.",
		"application_credential_secret":      "The application credential's secret.",
		"tenant":                             "The project by name, as of old.",
		"project":                            "The project by name.",
		"project_id":                         "The project by id.",
		"domain":                             "The domain of user and project.",
		"user_domain_name":                   "The user's domain, where it differs from the project's.",
		"project_domain_name":                "The project's domain, where it differs from the user's.",
		"region":                             "The region; without it the catalog's first.",
		"endpoint_type":                      "Which endpoints of the catalog: publicURL, internalURL or adminURL.",
		"state_timeout":                      "Seconds that a resource may take until it is ready.",
		"wait_resource_poll_interval":        "The longest pause between two looks at a resource, in seconds.",
		"stemcell_public_visibility":         "The image is for all projects.",
		"boot_from_volume":                   "The VM boots from a volume that is made of the image.",
		"config_drive":                       "disk or cdrom: the VM's user data also comes on a drive.",
		"use_dhcp":                           "false: the agent configures its addresses itself.",
		"ignore_server_availability_zone":    "Disks are not bound to the VM's availability zone.",
		"human_readable_vm_names":            "Servers are named by deployment and job.",
		"use_nova_networking":                "Refused: no release of today has it.",
		"default_volume_type":                "The type of volumes that name none.",
		"private_key":                        "The private half of default_key_name, a file: the registry is led to the VM over SSH.",
		"connection_options":                 "How the API is spoken to.",
		"connection_options.ca_cert":         "The certificate of the API's authority, as PEM.",
		"connection_options.ssl_ca_file":     "The certificate of the API's authority, a file.",
		"connection_options.ssl_verify_peer": "false: the API's certificate is not looked at.",
		"connection_options.connect_timeout": "Seconds that a connection may take.",
		"connection_options.read_timeout":    "Seconds that an answer may take.",
		"connection_options.write_timeout":   "Read for the original's sake, and not used.",
	}
}
