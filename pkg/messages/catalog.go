package messages

// Channel is a subject, or a family of them, as people read about it.
type Channel struct {
	Subject string // with <words> for its tokens
	Kind    string // JetStream stream, micro request, core message
	Writer  Role
	Body    string // type of this package, "" = BOSH's own
	About   string
}

// Channels lists everything that is said on the bus, in the order of a deploy.
// docs/subjects.md is made from it.
func Channels() []Channel {
	stream := func(name string) string { return "JetStream " + name }
	return []Channel{
		{CommandSubject("<deployment>"), stream(StreamCommand), RoleCLI, "Command", "a deploy request; its id is the run's"},
		{JournalSubject("<deployment>", FactRunClaimed), stream(StreamJournal), RoleOrchestrator, "RunClaimed", "a process works on a run from here on"},
		{JournalSubject("<deployment>", FactStepIntended), stream(StreamJournal), RoleOrchestrator, "StepIntended", "an effect is about to be asked for"},
		{StepSubject("<cloud>", "<method>", "<deployment>"), stream(StreamStep), RoleOrchestrator, "StepCommand", "the CPI is asked for an effect"},
		{ResultSubject("<cloud>", "<method>", "<deployment>", "<step id>"), stream(StreamResult), RoleCPI, "Result", "the CPI's word on a step; the last one is its ledger entry"},
		{EventSubject("<deployment>", "<source>", EventProgress), stream(StreamEvent), RoleCPI, "Progress", "how far a step is; the orchestrator writes it too"},
		{JournalSubject("<deployment>", FactStepDone), stream(StreamJournal), RoleOrchestrator, "StepDone", "an effect happened"},
		{JournalSubject("<deployment>", FactStepFailed), stream(StreamJournal), RoleOrchestrator, "StepFailed", "an effect did not happen"},
		{EventSubject("<deployment>", ServiceOrchestrator, EventExchange), stream(StreamEvent), RoleOrchestrator, "Exchange", "an agent was asked, without what was said"},
		{JournalSubject("<deployment>", FactCancelRequested), stream(StreamJournal), RoleOrchestrator, "CancelRequested", "somebody wants the run to end"},
		{JournalSubject("<deployment>", FactRunDone), stream(StreamJournal), RoleOrchestrator, "RunDone", "a run ended"},
		{JournalSubject("<deployment>", FactSnapshot), stream(StreamJournal), RoleOrchestrator, "Snapshot", "the deployment's state; folding starts here"},
		{EventSubject("<deployment>", ServiceOrchestrator, EventRunClosed), stream(StreamEvent), RoleOrchestrator, "RunClosed", "the run's request has left its slot"},
		{EventSubject("<deployment>", ServiceOrchestrator, EventUnwanted), stream(StreamEvent), RoleOrchestrator, "Unwanted", "the run of a step under way was cancelled"},
		{ServiceSubject(ServiceOrchestrator, SvcStatus), "micro request", RoleCLI, "DeploymentRequest", "a deployment as its journal tells it"},
		{ServiceSubject(ServiceOrchestrator, SvcDeployments), "micro request", RoleCLI, "", "every living deployment"},
		{ServiceSubject(ServiceOrchestrator, SvcCancel), "micro request", RoleCLI, "CancelRequest", "end the open run after the effect in flight"},
		{ServiceSubject(ServiceOrchestrator, SvcAgent), "micro request", RoleCLI, "AgentCall", "one message to a deployment's agent"},
		{ServiceSubject(ServiceRegistry, SvcSettingsPut), "micro request", RoleCPI, "SettingsPut", "store a VM's settings, sealed"},
		{ServiceSubject(ServiceRegistry, SvcSettingsGet), "micro request", RoleCPI, "SettingsGet", "a VM's settings, sealed to who asks"},
		{ServiceSubject(ServiceRegistry, SvcSettingsDelete), "micro request", RoleCPI, "SettingsDelete", "forget a VM's settings"},
		{ServiceSubject(ServiceRegistry, SvcIdentityCreate), "micro request", RoleOrchestrator, "IdentityCreate", "an agent's identity, made once, sealed to who asks"},
		{ServiceSubject(ServiceRegistry, SvcIdentityRevoke), "micro request", RoleOrchestrator, "IdentityRevoke", "end an agent's identity for ever"},
		{ServiceSubject(CPIService("<cloud>"), SvcInfo), "micro request", RoleOrchestrator, "CallRequest", "what a CPI can do"},
		{ServiceSubject(CPIService("<cloud>"), SvcHasVM), "micro request", RoleOrchestrator, "CallRequest", "whether a server exists"},
		{ServiceSubject(CPIService("<cloud>"), SvcHasDisk), "micro request", RoleOrchestrator, "CallRequest", "whether a disk exists"},
		{ServiceSubject(CPIService("<cloud>"), SvcGetDisks), "micro request", RoleOrchestrator, "CallRequest", "the disks attached to a server"},
		{ServiceSubject(CPIService("<cloud>"), SvcCalculate), "micro request", RoleOrchestrator, "CallRequest", "which flavor fits"},
		{ServiceSubject(CPIService("<cloud>"), SvcFind), "micro request", RoleOrchestrator, "CallRequest", "everything that carries a tag"},
		{ServiceSubject(CPIService("<cloud>"), SvcConsole), "micro request", RoleOrchestrator, "CallRequest", "the end of a server's console log"},
		{ServiceSubject(CPIService("<cloud>"), SvcPreflight), "micro request", RoleOrchestrator, "CallRequest", "whether a deploy would find what it needs"},
		{AgentSubject("<agent id>"), "core, BOSH's mbus", RoleOrchestrator, "AgentRequest", "a request to an agent"},
		{ReplySubject("<director id>", "<agent id>", "<request>"), "core, BOSH's mbus", RoleAgent, "AgentReply", "an agent's reply, at the request's reply_to"},
		{HeartbeatSubject("<agent id>"), "core, BOSH's mbus", RoleAgent, "Heartbeat", "an agent lives"},
		{AlertSubject("<agent id>"), "core, BOSH's mbus", RoleAgent, "Alert", "a job misbehaves"},
		{ShutdownSubject("<agent id>"), "core, BOSH's mbus", RoleAgent, "", "a VM says goodbye"},
	}
}
