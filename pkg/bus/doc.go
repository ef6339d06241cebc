// Package bus is the only package that knows nats.go. It connects, publishes,
// subscribes, appends by compare-and-set, reads from the leader, follows
// streams, works off queues, serves and calls micro services, keeps buckets and
// provisions the streams.
//
// A Conn is safe for concurrent use and reconnects for ever. Calls that need an
// answer from the bus try again over an outage until their context ends, or
// for half a minute when it has no deadline. What crosses an outage is always
// safe to repeat: appends and bucket writes are fenced by sequence, requests
// only read, and commands carry an id.
//
// Acknowledgements do not fence: a worker that lost its message can still
// acknowledge it. The queue gives liveness, the journal's compare-and-set gives
// safety.
//
// Errors that a person can act on are *messages.Error; ErrConflict, ErrNone and
// ErrSlotTaken are for programs.
package bus
