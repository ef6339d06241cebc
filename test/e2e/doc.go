// Package e2e holds the tests of whole deploys with the real programs.
package e2e
