// Package plan says in words what a deploy would do and why, and where the
// cloud is no longer as the journal tells it.
//
// It is pure: a state, a request and what was seen in the cloud give a Plan.
// What the steps would be is workflow's own forecast, so a plan and the run that
// follows it cannot disagree while the world stays as it was seen.
package plan
