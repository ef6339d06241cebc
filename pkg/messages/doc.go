// Package messages is the wire of microbosh and nothing else: subjects, the
// envelope, commands, step commands, results, facts, events, BOSH's agent
// protocol, settings, error codes, and, as data, the streams and permissions
// that carry them.
//
// It imports only the standard library, holds no state and does no I/O. Every
// program of the system meets the others here and nowhere else. Encodings are
// pinned by golden files; within v1 they change by addition only: readers
// ignore fields they do not know.
//
// No type of this package holds a secret in clear. A secret travels in a
// Sealed field, which only the named role can open (pkg/seal).
package messages
