package openstack

import (
	"crypto/x509"
	"encoding/json"
	"os"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/microbosh/microbosh/pkg/messages"
)

// properties is the part of the manifest's cloud.properties that this CPI
// reads.
type properties struct {
	OpenStack access          `json:"openstack"`
	Agent     agentProperties `json:"agent"`
	Stemcell  map[string]any  `json:"stemcell"` // override what stemcell.MF says of the image
}

type agentProperties struct {
	NTP       []string            `json:"ntp"`
	Blobstore *messages.Blobstore `json:"blobstore"`
	Mbus      string              `json:"mbus"`
}

type access struct {
	Cloud             string `json:"cloud"` // a name in clouds.yaml, instead of who and where
	AuthURL           string `json:"auth_url"`
	Username          string `json:"username"`
	APIKey            string `json:"api_key"`
	Tenant            string `json:"tenant"`
	Project           string `json:"project"`
	ProjectID         string `json:"project_id"`
	Domain            string `json:"domain"`
	UserDomainName    string `json:"user_domain_name"`
	ProjectDomainName string `json:"project_domain_name"`
	CredentialID      string `json:"application_credential_id"`
	CredentialSecret  string `json:"application_credential_secret"`
	Region            string `json:"region"`
	EndpointType      string `json:"endpoint_type"`
	StateTimeout      int    `json:"state_timeout"`               // seconds
	PollInterval      int    `json:"wait_resource_poll_interval"` // seconds

	StemcellPublic        bool     `json:"stemcell_public_visibility"`
	DefaultKeyName        string   `json:"default_key_name"`
	DefaultSecurityGroups []string `json:"default_security_groups"`
	DefaultVolumeType     string   `json:"default_volume_type"`
	ConfigDrive           string   `json:"config_drive"`
	UseDHCP               *bool    `json:"use_dhcp"`
	IgnoreServerZone      bool     `json:"ignore_server_availability_zone"`
	HumanReadableNames    bool     `json:"human_readable_vm_names"`
	BootFromVolume        bool     `json:"boot_from_volume"`
	NovaNetworking        bool     `json:"use_nova_networking"`

	Connection struct {
		VerifyPeer *bool  `json:"ssl_verify_peer"`
		CACert     string `json:"ca_cert"`
		CAFile     string `json:"ssl_ca_file"`

		// Seconds.
		Connect int `json:"connect_timeout"`
		Read    int `json:"read_timeout"`
	} `json:"connection_options"`
}

func parseProperties(raw json.RawMessage) (properties, error) {
	var p properties
	if err := json.Unmarshal(raw, &p); err != nil {
		// The cause would quote what may be secret.
		return p, messages.Errorf(messages.CodeManifestInvalid, "cloud.properties cannot be read").
			WithHint("compare cloud.properties with the OpenStack example manifest")
	}
	a, err := p.OpenStack.resolved()
	if err != nil {
		return p, err
	}
	p.OpenStack = a
	switch {
	case a.AuthURL == "":
		return p, missing("auth_url")
	case a.CredentialID != "" && a.CredentialSecret == "":
		return p, missing("application_credential_secret")
	case a.CredentialID == "" && a.Username == "":
		return p, missing("username")
	case a.CredentialID == "" && a.APIKey == "":
		return p, missing("api_key")
	case a.CredentialID == "" && a.projectName() == "" && a.ProjectID == "":
		return p, missing("tenant")
	case a.NovaNetworking:
		return p, messages.Errorf(messages.CodeNotSupported, "cloud.properties.openstack.use_nova_networking is not supported").
			WithHint("nova-network is gone from OpenStack; use a network of Neutron")
	}
	return p, nil
}

func missing(key string) error {
	return messages.Errorf(messages.CodeManifestInvalid, "cloud.properties.openstack.%s is missing", key)
}

func (a access) projectName() string { return first(a.Project, a.Tenant) }

// identityURL is Keystone v3's address, however auth_url was written.
func (a access) identityURL() string {
	url := strings.TrimRight(a.AuthURL, "/")
	url = strings.TrimSuffix(url, "/tokens")
	url = strings.TrimSuffix(url, "/auth")
	for _, version := range []string{"/v2.0", "/v3"} {
		url = strings.TrimSuffix(url, version)
	}
	return url + "/v3"
}

func (a access) authOptions() gophercloud.AuthOptions {
	options := gophercloud.AuthOptions{IdentityEndpoint: a.identityURL(), AllowReauth: true}
	if a.CredentialID != "" {
		options.ApplicationCredentialID, options.ApplicationCredentialSecret = a.CredentialID, a.CredentialSecret
		return options
	}
	options.Username, options.Password = a.Username, a.APIKey
	options.DomainName = first(a.UserDomainName, a.Domain, "Default")
	options.Scope = &gophercloud.AuthScope{ProjectID: a.ProjectID}
	if a.ProjectID == "" {
		options.Scope.ProjectName = a.projectName()
		options.Scope.DomainName = first(a.ProjectDomainName, a.Domain, "Default")
	}
	return options
}

func (a access) availability() gophercloud.Availability {
	switch {
	case strings.HasPrefix(a.EndpointType, "internal"):
		return gophercloud.AvailabilityInternal
	case strings.HasPrefix(a.EndpointType, "admin"):
		return gophercloud.AvailabilityAdmin
	}
	return gophercloud.AvailabilityPublic
}

// roots are the certificates to trust; nil = the system's.
func (a access) roots() (*x509.CertPool, error) {
	pem := []byte(a.Connection.CACert)
	if len(pem) == 0 && a.Connection.CAFile == "" {
		return nil, nil
	}
	if len(pem) == 0 {
		var err error
		if pem, err = os.ReadFile(a.Connection.CAFile); err != nil {
			return nil, messages.Errorf(messages.CodeManifestInvalid, "cannot read connection_options.ssl_ca_file: %w", err).
				WithHint("the file must be on the CPI's host; or put the certificate itself into ca_cert")
		}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, messages.Errorf(messages.CodeManifestInvalid, "connection_options.ca_cert holds no PEM certificate")
	}
	return pool, nil
}

// seconds is a time of the manifest, or what holds when it says none.
func seconds(n int, otherwise time.Duration) time.Duration {
	if n <= 0 {
		return otherwise
	}
	return time.Duration(min(n, 24*3600)) * time.Second
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
