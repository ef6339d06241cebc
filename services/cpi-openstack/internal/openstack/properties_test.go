package openstack

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

func TestIdentityURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"http://k:5000", "http://k:5000/", "http://k:5000/v3", "http://k:5000/v3/", "http://k:5000/v2.0", "http://k:5000/v2.0/tokens",
		"http://k:5000/v3/auth/tokens",
	} {
		if got := (access{AuthURL: url}).identityURL(); got != "http://k:5000/v3" {
			t.Errorf("%s became %s", url, got)
		}
	}
	if got := (access{AuthURL: "https://k/identity/v3"}).identityURL(); got != "https://k/identity/v3" {
		t.Errorf("the path became %s", got)
	}
}

func TestParseProperties(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, raw, missing string }{
		{"2014", `{"openstack":{"auth_url":"u","username":"n","api_key":"p","tenant":"t"}}`, ""},
		{"project id", `{"openstack":{"auth_url":"u","username":"n","api_key":"p","project_id":"t"}}`, ""},
		{"credential", `{"openstack":{"auth_url":"u","application_credential_id":"c","application_credential_secret":"s"}}`, ""},
		{"nothing", `{}`, "auth_url"},
		{"no user", `{"openstack":{"auth_url":"u"}}`, "username"},
		{"no password", `{"openstack":{"auth_url":"u","username":"n"}}`, "api_key"},
		{"no project", `{"openstack":{"auth_url":"u","username":"n","api_key":"p"}}`, "tenant"},
		{"no secret", `{"openstack":{"auth_url":"u","application_credential_id":"c"}}`, "application_credential_secret"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseProperties([]byte(tc.raw))
			if (tc.missing == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), tc.missing)) {
				t.Errorf("got %v, want %q missing", err, tc.missing)
			}
		})
	}
	if _, err := parseProperties([]byte(`{"openstack":{"auth_url":"u","username":"n","api_key":"p","tenant":"t","use_nova_networking":true}}`)); messages.CodeOf(err) != messages.CodeNotSupported {
		t.Errorf("nova-network is taken: %v", err)
	}
	_, err := parseProperties([]byte(`{"openstack":{"api_key":["marker"]}}`))
	if messages.CodeOf(err) != messages.CodeManifestInvalid || strings.Contains(err.Error(), "marker") {
		t.Errorf("unreadable properties: %v", err)
	}
}

func TestAuthOptions(t *testing.T) {
	t.Parallel()
	o := access{AuthURL: "http://k", Username: "u", APIKey: "p", Tenant: "t", Domain: "d"}.authOptions()
	if o.DomainName != "d" || o.Scope.DomainName != "d" || o.Scope.ProjectName != "t" || !o.AllowReauth {
		t.Errorf("options are %+v in %+v", o, o.Scope)
	}
	o = access{AuthURL: "http://k", Username: "u", APIKey: "p", ProjectID: "i"}.authOptions()
	if o.DomainName != "Default" || o.Scope.ProjectID != "i" || o.Scope.ProjectName+o.Scope.DomainName != "" {
		t.Errorf("options are %+v in %+v", o, o.Scope)
	}
	o = access{AuthURL: "http://k", CredentialID: "c", CredentialSecret: "s"}.authOptions()
	if o.ApplicationCredentialID != "c" || o.Username != "" || o.Scope != nil {
		t.Errorf("options are %+v", o)
	}
}

func TestUserData(t *testing.T) {
	t.Parallel()
	args := messages.CreateVMArgs{AgentID: "a", Name: "vm-1"}
	networks := map[string]messages.Network{
		"bosh": {Type: "dynamic", DNS: []string{"192.0.2.53"}}, "vip": {Type: "vip", DNS: []string{"192.0.2.54"}}, "a": {Type: "manual"},
	}
	secrets := messages.StepSecrets{Mbus: "nats://m", Env: json.RawMessage(`{"bosh":{"password":"x"}}`)}
	settings := settingsOf(properties{Agent: agentProperties{Mbus: "https://old"}}, secrets, args, networks, true)
	data, err := userData(settings, "http://u:p@r", "ssh-rsa AAAA")
	if err != nil {
		t.Fatal(err)
	}
	var got messages.UserData
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.Registry.Endpoint != "http://u:p@r" || got.Server.Name != "vm-1" || got.Mbus != "nats://m" || got.Disks.Ephemeral != "/dev/sdb" ||
		got.Blobstore.Provider != "local" || got.DNS.Nameserver[0] != "192.0.2.53" || got.OpenSSH.PublicKey != "ssh-rsa AAAA" || string(got.Env) != string(secrets.Env) {
		t.Errorf("user data is %s", data)
	}

	// What Nova would refuse is left to the registry.
	settings.Env, _ = json.Marshal(strings.Repeat("x", maxUserData))
	data, err = userData(settings, "http://u:p@r", "ssh-rsa AAAA")
	if err != nil || len(data) > 1000 || !strings.Contains(string(data), "vm-1") || strings.Contains(string(data), "nats://m") {
		t.Errorf("large user data is %d bytes: %v", len(data), err)
	}
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]time.Duration{-1: time.Minute, 0: time.Minute, 5: 5 * time.Second, 1 << 40: 24 * time.Hour} {
		if got := seconds(n, time.Minute); got != want {
			t.Errorf("%d became %s, want %s", n, got, want)
		}
	}
}
