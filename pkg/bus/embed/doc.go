// Package embed runs the bus inside a process: a NATS server with JetStream in
// a state folder.
//
// It owns that folder: keys/ (an identity for each role, and what signs logins), jetstream/ (the
// streams), port (the same at every start, because running agents know it),
// bus.json (where the bus is, for whoever wants to join) and lock, which one
// process holds. Every write is synced to disk before it is acknowledged.
package embed
