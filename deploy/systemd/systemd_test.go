package systemd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// programs are where the units look for them.
var programs = regexp.MustCompile(`/usr/bin/(nats-server|microbosh[a-z-]*)`)

// TestUnits has systemd read the units, with programs that exist.
func TestUnits(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is missing: apt-get install systemd")
	}
	units, err := filepath.Glob("*.service")
	if err != nil || len(units) != 4 {
		t.Fatalf("the units are %v, %v", units, err)
	}
	dir := t.TempDir()
	args := []string{"verify", "--man=no", "--generators=no"}
	for _, name := range units {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, programs.ReplaceAll(text, []byte("/bin/true")), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	out, err := exec.Command(tool, args...).CombinedOutput()
	var complaints []string
	for _, line := range strings.Split(string(out), "\n") {
		if strings.Contains(line, dir) || strings.Contains(line, "microbosh") {
			complaints = append(complaints, line)
		}
	}
	if err != nil || len(complaints) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// TestHardened looks for what every unit must say, also where systemd is not.
func TestHardened(t *testing.T) {
	t.Parallel()
	units, err := filepath.Glob("*.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range units {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"\nUser=microbosh-", "\nNoNewPrivileges=yes\n", "\nProtectSystem=strict\n", "\nCapabilityBoundingSet=\n", "\nUMask=0077\n", "\nRestart=always\n", "\nLimitCORE=0\n"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s does not say %q", name, strings.TrimSpace(want))
			}
		}
		if regexp.MustCompile(`(?i)passw|secret|token`).Match(text) {
			t.Errorf("%s names a secret", name)
		}
	}
}
