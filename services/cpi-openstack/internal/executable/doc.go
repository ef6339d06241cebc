// Package executable is the CPI as BOSH calls one: a process per call, one JSON
// request on standard input, exactly one JSON answer on standard output, logs on
// standard error and in the answer, and exit code 0 whatever happened.
//
// It keeps nothing between calls. A Director remembers its CIDs itself, so here
// who names a resource owns it; everything else is the CPI's code as the bus
// has it.
package executable
