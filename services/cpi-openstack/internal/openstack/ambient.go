package openstack

import (
	"os"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
)

// resolved is the access that the properties tell; else that of the cloud in
// clouds.yaml that they name, or OS_CLOUD does; else what OS_* says in the CPI's
// environment.
func (a access) resolved() (access, error) {
	if a.AuthURL != "" {
		return a, nil
	}
	name := first(a.Cloud, os.Getenv("OS_CLOUD"))
	if name == "" {
		return a.with(fromEnvironment()), nil
	}
	cloud, err := manifest.ReadOpenStackCloud(name)
	if err != nil {
		return a, messages.Errorf(messages.CodeManifestInvalid, "cannot find the cloud %s: %w", name, err).
			WithHint("OS_CLIENT_CONFIG_FILE, ./clouds.yaml, ~/.config/openstack/clouds.yaml and /etc/openstack/clouds.yaml are looked at, on the CPI's host")
	}
	auth := cloud.Auth
	found := access{
		AuthURL: auth.URL, Username: auth.Username, APIKey: auth.Password, Project: auth.Project, ProjectID: auth.ProjectID,
		Domain: auth.Domain, UserDomainName: auth.UserDomain, ProjectDomainName: auth.ProjectDomain,
		CredentialID: auth.CredentialID, CredentialSecret: auth.CredentialSecret, Region: cloud.Region, EndpointType: cloud.Interface,
	}
	found.Connection.CAFile, found.Connection.VerifyPeer = cloud.CACert, cloud.Verify
	return a.with(found), nil
}

// with takes who and where from another access, and keeps the rest.
func (a access) with(who access) access {
	a.AuthURL, a.Username, a.APIKey, a.Project, a.ProjectID = who.AuthURL, who.Username, who.APIKey, who.Project, who.ProjectID
	a.Domain, a.UserDomainName, a.ProjectDomainName = who.Domain, who.UserDomainName, who.ProjectDomainName
	a.CredentialID, a.CredentialSecret = who.CredentialID, who.CredentialSecret
	a.Region, a.EndpointType = first(a.Region, who.Region), first(a.EndpointType, who.EndpointType)
	a.Connection.CAFile = first(a.Connection.CAFile, who.Connection.CAFile)
	if a.Connection.VerifyPeer == nil {
		a.Connection.VerifyPeer = who.Connection.VerifyPeer
	}
	return a
}

// fromEnvironment reads what an openrc file sets.
func fromEnvironment() access {
	a := access{
		AuthURL: os.Getenv("OS_AUTH_URL"), Username: os.Getenv("OS_USERNAME"), APIKey: os.Getenv("OS_PASSWORD"),
		Project: first(os.Getenv("OS_PROJECT_NAME"), os.Getenv("OS_TENANT_NAME")), ProjectID: os.Getenv("OS_PROJECT_ID"),
		Domain: os.Getenv("OS_DOMAIN_NAME"), UserDomainName: os.Getenv("OS_USER_DOMAIN_NAME"), ProjectDomainName: os.Getenv("OS_PROJECT_DOMAIN_NAME"),
		CredentialID: os.Getenv("OS_APPLICATION_CREDENTIAL_ID"), CredentialSecret: os.Getenv("OS_APPLICATION_CREDENTIAL_SECRET"),
		Region: os.Getenv("OS_REGION_NAME"), EndpointType: first(os.Getenv("OS_INTERFACE"), os.Getenv("OS_ENDPOINT_TYPE")),
	}
	a.Connection.CAFile = os.Getenv("OS_CACERT")
	return a
}
