package messages_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

func TestAgentPermission(t *testing.T) {
	t.Parallel()
	p := messages.AgentPermission("a1")
	want := []string{"hm.agent.heartbeat.a1", "hm.agent.alert.a1", "hm.agent.shutdown.a1", "director.*.a1.*"}
	if !slices.Equal(p.Publish, want) || !slices.Equal(p.Subscribe, []string{"agent.a1"}) || p.Respond {
		t.Errorf("an agent may %+v", p)
	}
}

// TestPermissions keeps the rules that hold for every role but the admin.
func TestPermissions(t *testing.T) {
	t.Parallel()
	writers := map[string]string{
		"bosh.v1.cmd.": messages.RoleCLI, "bosh.v1.journal.": messages.RoleOrchestrator, "bosh.v1.step.": messages.RoleOrchestrator,
		"bosh.v1.result.": messages.RoleCPI, "$KV.": messages.RoleRegistry, "$O.": messages.RoleCLI, "agent.": messages.RoleOrchestrator,
		"director.": messages.RoleAgent, "hm.": messages.RoleAgent,
	}
	roles := map[string]bool{}
	for _, p := range messages.Permissions() {
		if roles[p.Role] {
			t.Errorf("the role %s is there twice", p.Role)
		}
		roles[p.Role] = true
		if p.Role == messages.RoleAdmin {
			continue
		}
		for _, s := range slices.Concat(p.Publish, p.Subscribe) {
			if p.Role == messages.RoleRegistry && (s == messages.LoginSubject || s == messages.UserInfoSubject) {
				continue
			}
			if s == ">" || s == "*" || strings.HasPrefix(s, "_INBOX.") || strings.HasPrefix(s, "$SYS") {
				t.Errorf("%s may use %s", p.Role, s)
			}
		}
		for _, s := range p.Publish {
			for prefix, role := range writers {
				if strings.HasPrefix(s, prefix) && p.Role != role {
					t.Errorf("%s may publish to %s, which is %s's", p.Role, s, role)
				}
			}
			if s == "$JS.API.STREAM.PURGE."+messages.StreamStemcell && (p.Role == messages.RoleCLI || p.Role == messages.RoleOrchestrator) {
				continue // what was only on its way
			}
			for _, verb := range []string{"STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.PURGE", "MSG.DELETE", "SNAPSHOT", "RESTORE"} {
				if strings.Contains(s, verb) {
					t.Errorf("%s may change streams: %s", p.Role, s)
				}
			}
		}
	}
	for _, role := range []string{"admin", "cli", "orchestrator", "cpi", "registry", "ops", "agent"} {
		if !roles[role] {
			t.Errorf("the role %s is missing", role)
		}
	}
}
