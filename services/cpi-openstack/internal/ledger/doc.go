// Package ledger keeps what a CPI has said about each step: the last message on
// the step's result subject. Only CPIs write it, and only by compare-and-set on
// the entry they read or wrote themselves, so that of any number of CPIs that
// work on one step exactly one has the last word.
//
// An Entry belongs to one goroutine.
package ledger
