// Package doctor judges what was seen of a control plane and a cloud: what is
// not as it should be, and what to do about each.
//
// It is pure: it asks nobody and has no clock. Who looked hands in what was
// seen; what could not be looked at is told as skipped, never as well. It owns
// nothing.
package doctor
