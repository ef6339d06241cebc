package messages

// Role is a kind of program or person on the bus. Every role has its own
// identity.
type Role = string

// The roles.
const (
	RoleAdmin        Role = "admin"        // provisions the bus
	RoleCLI          Role = "cli"          // people who deploy
	RoleOrchestrator Role = "orchestrator" //
	RoleCPI          Role = "cpi"          //
	RoleRegistry     Role = "registry"     //
	RoleOps          Role = "ops"          // people who watch
	RoleAgent        Role = "agent"        // each agent has its own identity, see AgentPermission

	// BOSH's own, which log in by certificate: see BOSHPermissions.
	RoleDirector      Role = "director"
	RoleHealthMonitor Role = "hm"
)

// UserInfoSubject is where the bus tells who one is.
const UserInfoSubject = "$SYS.REQ.USER.INFO"

// LoginSubject is where the bus asks who may log in as an agent.
const LoginSubject = "$SYS.REQ.USER.AUTH"

// Permission is what a role may publish and subscribe to; an empty list is
// nothing. Respond lets it answer whoever asked it, and only them.
type Permission struct {
	Role      Role     `json:"role"`
	User      string   `json:"user,omitempty"` // of an agent: its id
	Publish   []string `json:"publish"`
	Subscribe []string `json:"subscribe"`
	Respond   bool     `json:"respond,omitempty"`
}

// InboxPrefix is where a role's replies arrive. A shared prefix would let roles
// read each other's replies.
func InboxPrefix(role Role) string { return "_INBOX_" + role }

// CPIMethods are the micro methods that every CPI serves.
func CPIMethods() []string {
	return []string{SvcInfo, SvcHasVM, SvcHasDisk, SvcGetDisks, SvcCalculate, SvcFind, SvcConsole, SvcPreflight}
}

// Permissions gives each role the least it needs. Agents know nothing of
// JetStream; only the orchestrator writes the journal and only CPIs the
// results; a stemcell comes from the command line, which may take back what it
// put, as the orchestrator may when nobody needs it; whoever watches sees bosh.v1.> and hm.>, and neither requests to
// agents nor their replies, which carry what BOSH puts there.
func Permissions() []Permission {
	var (
		streams  = []string{StreamCommand, StreamJournal, StreamStep, StreamResult, StreamEvent}
		settings = "KV_" + BucketSettings
		identity = "KV_" + BucketIdentity
		services = "$SRV.>"
		cpi      = each(CPIMethods(), func(m string) string { return ServiceSubject("*", m) })
	)
	agent := AgentPermission("*")
	agent.User = ""
	return []Permission{
		{Role: RoleAdmin, Publish: []string{">"}, Subscribe: []string{">"}},
		{
			Role: RoleCLI,
			Publish: join(
				[]string{CommandSubject("*"), ServiceSubject(ServiceOrchestrator, "*")}, cpi, []string{services},
				inspect(), reading(streams...), following(StreamJournal, StreamResult, StreamEvent),
				[]string{ObjectSubject(BucketStemcell, ">"), ObjectInfoSubject(BucketStemcell, "*")}, reading(StreamStemcell), purging(StreamStemcell),
			),
			Subscribe: join(
				[]string{Root + ".journal.>", Root + ".result.>", Root + ".event.>", HeartbeatPrefix + "*", AlertPrefix + "*", ShutdownPrefix + "*"},
				inbox(RoleCLI),
			),
		},
		{
			Role: RoleOrchestrator,
			Publish: join(
				[]string{Root + ".journal.>", Root + ".step.>", EventSubject("*", ServiceOrchestrator, "*")},
				[]string{ServiceSubject(ServiceOrchestrator, "*"), AgentSubject("*")},
				[]string{ServiceSubject(ServiceRegistry, SvcIdentityCreate), ServiceSubject(ServiceRegistry, SvcIdentityRevoke)}, cpi, []string{services},
				reading(streams...), following(StreamJournal, StreamResult, StreamEvent),
				working(CommandConsumer()), purging(StreamStemcell),
			),
			Subscribe: join(
				[]string{ServiceSubject(ServiceOrchestrator, "*"), services},
				[]string{DirectorPrefix + ">", "hm.agent.>"},
				inbox(RoleOrchestrator),
			),
			Respond: true,
		},
		{
			Role: RoleCPI,
			Publish: join(
				[]string{Root + ".result.>", EventSubject("*", "*", EventProgress)},
				[]string{
					ServiceSubject(ServiceRegistry, SvcSettingsGet), ServiceSubject(ServiceRegistry, SvcSettingsPut),
					ServiceSubject(ServiceRegistry, SvcSettingsDelete),
				}, cpi, []string{services},
				reading(StreamStep, StreamResult, StreamStemcell), following(StreamResult, StreamStemcell),
				working(Consumer{Stream: StreamStep, Durable: "*", Filter: Root + ".step.>"}),
			),
			Subscribe: join(cpi, []string{EventSubject("*", ServiceOrchestrator, EventUnwanted), services}, inbox(RoleCPI)),
			Respond:   true,
		},
		{
			Role: RoleRegistry,
			Publish: join(
				[]string{"$KV." + BucketSettings + ".>", "$KV." + BucketIdentity + ".>", EventSubject("*", ServiceRegistry, "*"), UserInfoSubject},
				reading(settings, identity),
			),
			Subscribe: join([]string{ServiceSubject(ServiceRegistry, "*"), services, LoginSubject}, inbox(RoleRegistry)),
			Respond:   true,
		},
		{
			Role: RoleOps,
			Publish: join(
				[]string{services}, inspect(), reading(streams...), following(StreamJournal, StreamResult, StreamEvent),
			),
			Subscribe: join(
				[]string{Root + ".>", "hm.>", "$JS.EVENT.ADVISORY.>"},
				inbox(RoleOps),
			),
		},
		agent,
	}
}

// WardenPermission is what the registry's second identity may do in the bus's
// system account: find an agent's connections and cut them.
func WardenPermission() Permission {
	return Permission{
		Publish:   []string{WardenFindSubject, WardenCountSubject, "$SYS.REQ.SERVER.*.KICK"},
		Subscribe: inbox(RoleRegistry),
	}
}

// The warden asks every server of the bus for its connections, and how many
// servers there are.
const (
	WardenFindSubject  = "$SYS.REQ.SERVER.PING.CONNZ"
	WardenCountSubject = "$SYS.REQ.SERVER.PING.STATSZ"
)

// AgentPermission is what one agent may do: speak for itself, hear what is for
// it, and nothing else.
func AgentPermission(agentID string) Permission {
	return Permission{
		Role: RoleAgent, User: agentID,
		Publish: []string{
			HeartbeatSubject(agentID), AlertSubject(agentID), ShutdownSubject(agentID),
			ReplySubject("*", agentID, "*"),
		},
		Subscribe: []string{AgentSubject(agentID)},
	}
}

// DirectorAlertSubject is where a Director tells its health monitor of what it
// does.
const DirectorAlertSubject = "hm.director.alert"

// BOSHPermissions are those that a BOSH Director writes for itself and for its
// health monitor.
func BOSHPermissions() []Permission {
	return []Permission{
		{
			Role: RoleDirector, User: RoleDirector,
			Publish:   []string{AgentSubject("*"), DirectorAlertSubject},
			Subscribe: []string{DirectorPrefix + ">"},
		},
		{
			Role: RoleHealthMonitor, User: RoleHealthMonitor, // publishes nothing
			Subscribe: []string{HeartbeatPrefix + "*", AlertPrefix + "*", ShutdownPrefix + "*", DirectorAlertSubject},
		},
	}
}

func inbox(role Role) []string { return []string{InboxPrefix(role) + ".>"} }

// inspect is the part of the JetStream API that only looks.
func inspect() []string {
	return []string{
		"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.*",
		"$JS.API.CONSUMER.NAMES.*", "$JS.API.CONSUMER.LIST.*", "$JS.API.CONSUMER.INFO.*.*",
	}
}

// reading lets a role read single messages from the leader.
func reading(streams ...string) []string {
	var out []string
	for _, s := range streams {
		out = append(out, "$JS.API.STREAM.INFO."+s, "$JS.API.STREAM.MSG.GET."+s)
	}
	return out
}

// following lets a role make consumers of its own. Never of a work queue: they
// would take its messages. NATS' own tools push, so flow control is in. A
// consumer may push to any subject, but only what its stream holds, which no
// role that only follows can write.
func following(streams ...string) []string {
	var out []string
	for _, s := range streams {
		out = append(out,
			"$JS.API.STREAM.INFO."+s, "$JS.API.CONSUMER.CREATE."+s+".>", "$JS.API.CONSUMER.INFO."+s+".*",
			"$JS.API.CONSUMER.MSG.NEXT."+s+".*", "$JS.API.CONSUMER.DELETE."+s+".*", "$JS.FC."+s+".>")
	}
	return out
}

// purging lets a role remove what a stream holds.
func purging(stream string) []string { return []string{"$JS.API.STREAM.PURGE." + stream} }

// working lets a role work off a work queue by its durable.
func working(c Consumer) []string {
	return []string{
		"$JS.API.STREAM.INFO." + c.Stream,
		"$JS.API.CONSUMER.CREATE." + c.Stream + "." + c.Durable + "." + c.Filter,
		"$JS.API.CONSUMER.INFO." + c.Stream + "." + c.Durable,
		"$JS.API.CONSUMER.MSG.NEXT." + c.Stream + "." + c.Durable,
		"$JS.ACK." + c.Stream + "." + c.Durable + ".>",
	}
}

// join flattens lists and drops repeats.
func join(lists ...[]string) []string {
	var out []string
	seen := map[string]bool{}
	for _, list := range lists {
		for _, s := range list {
			if !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	return out
}

func each(list []string, f func(string) string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, f(s))
	}
	return out
}
