// Package journal reads and appends the facts of one deployment.
//
// The stream BOSH_JOURNAL is the truth about a deployment and only the
// orchestrator writes it. Every append is a compare-and-set on the last
// sequence of the deployment's subjects, so of two orchestrators that believe
// to own a run at most one can say what happened: the other gets ErrBehind,
// reads again and finds the other's claim. A Log is used by one goroutine at a
// time.
package journal
