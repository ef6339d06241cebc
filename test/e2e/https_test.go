package e2e_test

import (
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

// With an https:// mbus the orchestrator calls the VM, which needs no way to
// the bus, and sends it the rendered templates.
func TestDeployOverHTTPS(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Mbus: "https://vcap:" + lab.Marker + "-mbus@0.0.0.0:6868"})
	l.BuildStemcell()
	heard := listen(t, l.Connect(messages.RoleOps), "bosh.v1.>", "hm.>")
	deploy(t, l)
	whole(t, l)
	story := heard()
	if strings.Contains(story, "hm.agent.") {
		t.Error("an agent without a bus has a heartbeat")
	}
	if !strings.Contains(story, `"by":"orchestrator"`) {
		t.Error("the orchestrator has not rendered the templates")
	}
	if strings.Contains(story, lab.Marker) {
		t.Error("who listens hears a secret")
	}
	l.WriteManifest(2048, "changed")
	deploy(t, l, "--update")
	whole(t, l)
	remove(t, l)
	noSecrets(t, l)
}
