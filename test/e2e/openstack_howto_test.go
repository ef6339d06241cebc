package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/test/lab"
)

// The how-to does what it says, command for command.
func TestOpenStackHowTo(t *testing.T) {
	cloud := realOpenStack(t)
	for _, tool := range []string{"openstack", "debootstrap", "ruby", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	page, err := os.ReadFile("../../docs/howto-openstack-vm.md")
	if err != nil {
		t.Fatal(err)
	}
	script := "set -e\n"
	for line := range strings.Lines(string(page)) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			script += command
		}
	}
	before := cloud.inventory()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	clouds := filepath.Join(filepath.Dir(os.Getenv("MICROBOSH_OPENSTACK_VM")), "etc", "clouds.yaml")
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir, "XDG_CONFIG_HOME="+cmd.Dir, "XDG_CACHE_HOME="+cache, "OS_CLIENT_CONFIG_FILE="+clouds,
		"PATH="+lab.Programs(t)+":"+os.Getenv("PATH"), "MICROBOSH_BUS=", "MICROBOSH_KEYS=", "MICROBOSH_SETTLE=5s")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"Deployed `micro_bosh.yml'", `"name":"micro"`, "Will skip deploy due to no changes", "Deleted deployment 'micro'"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not said in:\n%s", want, out)
		}
	}
	if after := cloud.inventory(); !slices.Equal(before, after) {
		t.Errorf("left over: before %v, after %v", before, after)
	}
}
