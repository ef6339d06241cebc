// Package stack runs the parts of microbosh as child processes for as long as
// it is wanted: the embedded bus, the orchestrator, the registry, the CPI and,
// for development, a small cloud.
//
// It owns the lock on the state folder that says who supervises, the children's
// logs and nothing else: what the children do is theirs. A child that dies is
// started again, with a growing pause; a child never outlives the supervisor.
// Children run in process groups of their own, so that Ctrl-C in a terminal
// reaches only the supervisor, which ends them in order.
package stack
