// Package action is what an agent can do: BOSH's methods, one table, one file a
// group.
//
// Dispatcher implements mbus.Dispatcher. A synchronous action is answered when
// it is done. An asynchronous one becomes a task and is answered with its id at
// once; so is one that changes the machine but is synchronous on the wire
// (start), except that the answer waits for the task. Tasks run one after
// another, so no two actions ever change the machine at the same time.
package action
