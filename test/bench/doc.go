// Package bench measures whole deploys with the real programs against devcloud
// at zero latency, beside what the bus itself costs in the same run. Nothing
// asserts a time; `make bench` prints the tables that docs/benchmarks.md keeps.
package bench
