// Package runner drives runs: it takes deploy requests off the bus, claims
// them in the journal, and until workflow says that the run has ended it
// records an intent, has the step carried out and records what came of it.
//
// Any number of processes may do this at once; there is no leader and no lease.
// A run belongs to whoever wrote the journal's last claim. An append that finds
// the journal moved on means: read again, and go on only while the claim is
// ours. A runner that lost its run stops without acknowledging and without
// cleaning up, for the new owner has the same facts. Acknowledgements do not
// fence, the journal does.
package runner
