// Package explain finds the page about an error code in docs/errors.md.
package explain
