package cert

import (
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Names of the authorities' files: one signs servers and roles, the other, which
// the registry holds, agents.
const (
	PlaneAuthority = "plane-ca"
	AgentAuthority = "agents-ca"
)

// Names of BOSH's convention.
const (
	ServerName        = "default.nats.bosh-internal"
	DirectorName      = "default.director.bosh-internal"
	HealthMonitorName = "default.hm.bosh-internal"

	agentSuffix = ".agent.bosh-internal"
	firstSuffix = ".bootstrap" + agentSuffix
	roleSuffix  = ".microbosh.bosh-internal"
)

// AgentName is the common name of an agent's certificate; first is the one that
// rides in user data.
func AgentName(agentID string, first bool) string {
	if first {
		return agentID + firstSuffix
	}
	return agentID + agentSuffix
}

// ParseAgentName tells whose a common name is, "" for no agent's.
func ParseAgentName(name string) (agentID string, first bool) {
	if id, ok := strings.CutSuffix(name, firstSuffix); ok {
		return id, true
	}
	id, ok := strings.CutSuffix(name, agentSuffix)
	if !ok {
		return "", false
	}
	return id, false
}

// RoleName is the common name of a role's certificate.
func RoleName(role messages.Role) string {
	switch role {
	case messages.RoleDirector:
		return DirectorName
	case messages.RoleHealthMonitor:
		return HealthMonitorName
	}
	return role + roleSuffix
}
