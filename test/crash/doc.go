// Package crash kills real processes with SIGKILL at every message that they
// send, in create, update with migration, delete and cancel, starts them again,
// and checks what must hold afterwards. There are no crash points in the
// product: proxies before the bus count and cut.
//
// By default a seeded share of the points is tried, as many as fit the time;
// -crash.all tries every one, -crash.seed repeats a share.
package crash
