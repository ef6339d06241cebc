// Package task runs the agent's asynchronous actions strictly one after
// another and remembers what came of them, across restarts.
//
// A task is one file <base>/bosh/tasks/<id>.json, written before its id is told
// to anybody and again when it ends; this package is the only writer. Arguments
// are not stored. A task that a restart interrupted says so when it is asked
// for, and runs again under the same id when its request (the same method and
// step id) comes again. The oldest finished ones are forgotten beyond
// Options.Keep, and with them their step ids.
package task
