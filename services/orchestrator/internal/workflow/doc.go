// Package workflow is the pure core of a deploy: it folds the facts of a
// deployment's journal into a State and decides the next step.
//
// It has no clock, no context and does no I/O: the same facts and the same
// request give the same decision on every replica, which is why a run can be
// taken over at any point. Each verb is a table (table.go) whose rows are the
// steps in their order; a row says whether its step is needed, from the state
// alone. Adding a step means adding a row here, its effect in effect.go and its
// handler in package steps.
package workflow
