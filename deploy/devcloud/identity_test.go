package devcloud_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/cloudtest"
)

func TestAuthentication(t *testing.T) {
	t.Parallel()
	cloud := cloudtest.Start(t)
	password := cloud.Password()
	project := &gophercloud.AuthScope{ProjectName: devcloud.Project, DomainName: devcloud.Domain}
	for name, tc := range map[string]struct {
		o       gophercloud.AuthOptions
		refused bool
	}{
		"domain name":            {o: gophercloud.AuthOptions{Username: "admin", Password: password, DomainName: "Default", TenantName: "demo"}},
		"domain id":              {o: gophercloud.AuthOptions{Username: "admin", Password: password, DomainID: "default", TenantName: "demo"}},
		"user id":                {o: gophercloud.AuthOptions{UserID: "admin", Password: password, Scope: project}},
		"application credential": {o: gophercloud.AuthOptions{ApplicationCredentialID: devcloud.Credential, ApplicationCredentialSecret: password}},
		"credential by name":     {o: gophercloud.AuthOptions{ApplicationCredentialName: devcloud.Credential, ApplicationCredentialSecret: password, Username: "admin", DomainName: "Default"}},
		"wrong password":         {refused: true, o: gophercloud.AuthOptions{Username: "admin", Password: "guess", DomainName: "Default", TenantName: "demo"}},
		"wrong user":             {refused: true, o: gophercloud.AuthOptions{Username: "root", Password: password, DomainName: "Default", TenantName: "demo"}},
		"wrong domain":           {refused: true, o: gophercloud.AuthOptions{Username: "admin", Password: password, DomainName: "else", TenantName: "demo"}},
		"wrong project":          {refused: true, o: gophercloud.AuthOptions{Username: "admin", Password: password, DomainName: "Default", TenantName: "else"}},
		"wrong secret":           {refused: true, o: gophercloud.AuthOptions{ApplicationCredentialID: devcloud.Credential, ApplicationCredentialSecret: "guess"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.o.IdentityEndpoint = cloud.AuthURL()
			provider, err := openstack.AuthenticatedClient(t.Context(), tc.o)
			if tc.refused {
				refused(t, err, http.StatusUnauthorized)
				return
			}
			must(t, err)
			for _, face := range []gophercloud.Availability{gophercloud.AvailabilityPublic, gophercloud.AvailabilityInternal, gophercloud.AvailabilityAdmin} {
				compute, err := openstack.NewComputeV2(provider, gophercloud.EndpointOpts{Region: devcloud.Region, Availability: face})
				must(t, err)
				_, err = flavors.ListDetail(compute, nil).AllPages(t.Context())
				must(t, err)
			}
		})
	}
}

func TestCloudsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cloud := cloudtest.Start(t, func(o *devcloud.Options) { o.Dir = dir })
	must(t, cloud.WriteFiles())
	file := filepath.Join(dir, devcloud.CloudsFile)
	info, err := os.Stat(file)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("clouds.yaml is %s", info.Mode())
	}
	b, err := os.ReadFile(file)
	must(t, err)
	auth := func(key string) string {
		text, ok := field(t, string(b), "clouds", devcloud.CloudName, "auth", key).(string)
		if !ok {
			t.Errorf("clouds.yaml has no %s", key)
		}
		return text
	}
	_, err = openstack.AuthenticatedClient(t.Context(), gophercloud.AuthOptions{
		IdentityEndpoint: auth("auth_url"), Username: auth("username"), Password: auth("password"), TenantName: auth("project_name"),
		DomainName: auth("user_domain_name"),
	})
	must(t, err)
}

func TestTokensExpire(t *testing.T) {
	t.Parallel()
	c := connect(t, cloudtest.Start(t, func(o *devcloud.Options) { o.TokenLife = time.Nanosecond }))
	status, body, header := c.call(http.MethodGet, c.compute.Endpoint+"flavors", "")
	if status != http.StatusUnauthorized || field(t, body, "error", "code") != 401.0 || header.Get("Www-Authenticate") == "" {
		t.Errorf("an expired token: %d %s", status, body)
	}
}

func TestTokenIsRenewed(t *testing.T) {
	t.Parallel()
	c := connect(t, cloudtest.Start(t))
	old := c.provider.Token()
	must(t, c.cloud.SetFaults(devcloud.Fault{Mode: devcloud.ModeExpire, Path: "flavors", Count: 1}))
	_, err := flavors.ListDetail(c.compute, nil).AllPages(c.ctx)
	must(t, err)
	if c.provider.Token() == old {
		t.Error("the token is the old one")
	}
}
