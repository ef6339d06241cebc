// Package steps carries out the steps that workflow decides: it turns an
// intent into a step command for the CPI, a request to the VM's agent or a
// look at the Director, waits for the end of it and returns the outputs that go
// into the journal, which hold no secret.
//
// Every step may be asked for again under the same step id, by this process or
// another: the CPI's ledger and the agent's record of step ids make that safe.
// Handlers wait on messages, never on a clock, but for the polls that
// ARCHITECTURE.md names. A Session serves one run and one goroutine.
package steps
