// Package daemon is what every long-running program of microbosh has in common:
// signals, a logger, readiness and names. It opens no files and no ports.
package daemon
