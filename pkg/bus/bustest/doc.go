// Package bustest runs real buses for tests: one node, three nodes, and a proxy
// that cuts, delays and counts. Everything ends with the test.
package bustest
