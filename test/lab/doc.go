// Package lab runs the real programs for tests: devcloud, the bus, any number
// of orchestrators and CPIs, the registry, and the command line, as separate
// processes that a test may kill, freeze and start again.
package lab
