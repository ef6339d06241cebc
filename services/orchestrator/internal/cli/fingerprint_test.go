package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/statefile"
)

func TestFingerprint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	here, there := filepath.Join(dir, "here"), filepath.Join(dir, "there")
	if _, err := seal.OpenRing(here, messages.RoleCLI); err != nil {
		t.Fatal(err)
	}
	deployment := func(text string) chosen {
		t.Helper()
		path := filepath.Join(dir, "micro", "micro_bosh.yml")
		m, err := manifest.Parse(path, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return chosen{choice: statefile.Choice{Deployment: path}, manifest: m}
	}
	const text = "name: micro\nnetwork: {type: dynamic}\ncloud:\n  plugin: openstack\n  properties:\n" +
		"    openstack: {auth_url: \"http://h/v3\", username: u, api_key: easy, tenant: t}\n"
	a, b := deployment(text), deployment(text+"env: {changed: true}\n")
	sum := func(keys string, d chosen, x sight) string {
		t.Helper()
		text, err := fingerprint(keys, d, x)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := sum(here, a, sight{})
	recorded := sight{}
	recorded.state.ConfigSHA1 = first
	if first == a.manifest.ConfigSHA1() || first == sum(here, b, recorded) {
		t.Errorf("%s tells the manifest, or not from another", first)
	}

	// Another host with the control plane's key, and a new key.
	if err := os.CopyFS(there, os.DirFS(here)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(there, "cli.xk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := sum(there, a, sight{}); got != first {
		t.Errorf("another host makes %s of it, not %s", got, first)
	}
	if _, err := seal.Rotate(there, messages.RoleCLI); err != nil {
		t.Fatal(err)
	}
	if got := sum(there, a, sight{}); got == first {
		t.Error("a new key makes what the old one made")
	}
	if got := sum(there, a, recorded); got != first {
		t.Errorf("what an old key made is not recognised: %s", got)
	}
	taken := sight{taken: true, command: messages.Command{ConfigSHA1: first}}
	if got := sum(there, a, taken); got != first {
		t.Errorf("an open request of before the rotation is not recognised: %s", got)
	}

	// What `bosh micro` recorded keeps its form for as long as it is true.
	imported := sight{}
	imported.state.ConfigSHA1 = a.manifest.OriginalConfigSHA1(dir, filepath.Join(dir, "micro", originalLog))
	if got := sum(here, a, imported); got != imported.state.ConfigSHA1 {
		t.Errorf("an imported fingerprint looks changed: %s", got)
	}
	if got := sum(here, b, imported); len(got) != len(first) {
		t.Errorf("a changed one keeps the original's form: %s", got)
	}

	if _, err := fingerprint(t.TempDir(), a, sight{}); messages.CodeOf(err) != messages.CodeSealUnreadable {
		t.Errorf("without the key: %v", err)
	}
}
