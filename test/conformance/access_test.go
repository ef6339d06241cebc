package conformance_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/test/lab"
)

// TestAccess logs in with what lies beside the manifest: clouds.yaml, or OS_*.
func TestAccess(t *testing.T) {
	eachTarget(t, func(t *testing.T, cloud target) {
		dir := t.TempDir()
		file := filepath.Join(dir, "clouds.yaml")
		text := fmt.Sprintf("clouds:\n  here:\n    region_name: %s\n    auth: {auth_url: %q, username: %s, password: %s, project_name: %s, user_domain_name: Default, project_domain_name: Default}\n",
			cloud.Region, cloud.AuthURL, cloud.Username, cloud.Password, cloud.Project)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		openrc := []string{
			"OS_AUTH_URL=" + cloud.AuthURL, "OS_USERNAME=" + cloud.Username, "OS_PASSWORD=" + cloud.Password, "OS_PROJECT_NAME=" + cloud.Project,
			"OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default", "OS_REGION_NAME=" + cloud.Region,
		}
		for name, c := range map[string]struct {
			context string
			env     []string
			good    bool
		}{
			"clouds.yaml by name":       {`{"cloud":"here"}`, []string{"OS_CLIENT_CONFIG_FILE=" + file}, true},
			"clouds.yaml by OS_CLOUD":   {`{}`, []string{"OS_CLIENT_CONFIG_FILE=" + file, "OS_CLOUD=here"}, true},
			"OS_*":                      {`{}`, openrc, true},
			"a cloud that is not there": {`{"cloud":"nowhere"}`, []string{"OS_CLIENT_CONFIG_FILE=" + file}, false},
			"nothing":                   {`{}`, nil, false},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			cmd := exec.CommandContext(ctx, filepath.Join(lab.Programs(t), "microbosh-cpi-openstack"), "exec")
			cmd.Dir, cmd.Env = dir, append([]string{"HOME=" + dir, "PATH=/usr/bin:/bin"}, c.env...)
			if !c.good {
				cmd.Dir = t.TempDir() // without a clouds.yaml
			}
			cmd.Stdin = strings.NewReader(`{"method":"has_vm","arguments":["00000000-0000-4000-8000-000000000000"],"context":` + c.context + `,"api_version":2}`)
			out, err := cmd.Output()
			cancel()
			if good := strings.HasPrefix(string(out), `{"result":false,"error":null`); err != nil || good != c.good {
				t.Errorf("%s: %v %s", name, err, out)
			}
		}
	})
}
