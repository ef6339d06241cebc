// Package cpi is a CPI's face on the bus, whatever the cloud: it takes step
// commands from the work queue, runs their methods, keeps the ledger and
// answers reads. It owns the result subjects of its cloud.
//
// Any number of CPIs may serve one cloud, and each may die at any moment: a
// command that nobody acknowledges comes again, possibly while its first worker
// still lives. So every method must be safe to repeat, a resource is only made
// through Step.Create, and the ledger decides between two who did the same. Who
// loses removes what it made itself, unless the final entry names it.
package cpi
