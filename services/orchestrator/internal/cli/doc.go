// Package cli is the command line of microbosh: one file a verb. It reads
// manifests and stemcells, finds or starts the bus, sends requests and follows
// the journal until the run's end. It decides nothing about a deployment: that
// is the orchestrator's, on the other side of the bus.
//
// Reads (status, deployments, and what deploy checks before it asks) come from
// the journal itself, so they work while no orchestrator does.
//
// It is the only package that knows cobra. A command holds no state between two
// calls; app carries the streams and the global flags.
package cli
