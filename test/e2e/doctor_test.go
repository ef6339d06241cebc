package e2e_test

import (
	"os"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/test/lab"
)

// doctor says what is wrong, each thing with its fix, and what else is well.
func TestDoctorFinds(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{NoBoot: true})
	manifest, err := os.ReadFile(l.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	look := func(from, to string, wants ...string) {
		t.Helper()
		if err := os.WriteFile(l.Manifest, []byte(strings.Replace(string(manifest), from, to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		out, code := l.CLI("doctor")
		if code != 10 {
			t.Errorf("doctor ended with %d:\n%s", code, out)
		}
		for _, want := range append(wants, "hint: ") {
			if !strings.Contains(out, want) {
				t.Errorf("doctor does not say %q:\n%s", want, out)
			}
		}
		if strings.Contains(out, lab.Marker) {
			t.Errorf("a secret is told:\n%s", out)
		}
	}
	look("m1.small", "m9.huge", "flavor: ", "m9.huge", "1 finding")
	look("network: {type: dynamic}", "network: {type: dynamic, cloud_properties: {net_id: 8f8ae4a7-0d4c-4f6a-9b8e-000000000000}}", "network bosh: ", "1 finding")
	look("persistent_disk: 1024", "persistent_disk: 1073741824", "volume quota: ")
	look("username: admin", "username: nobody", "cloud         found", "orphans       -      the cloud cannot be asked", "1 finding")

	l.Orchestrators[0].Kill()
	look("", "", "nobody answers for orchestrator", "cloud         ok", "1 finding")
	l.CPIs[0].Kill()
	look("", "", "nobody answers for cpi-openstack", "no CPI for openstack answers on this bus")
	if out, code := l.CLI("doctor", "--bus", "nats://127.0.0.1:1", "--wait", "300ms"); code != 4 || !strings.Contains(out, "bus           found") || !strings.Contains(out, "hint: ") {
		t.Errorf("without a bus doctor ended with %d:\n%s", code, out)
	}
}
