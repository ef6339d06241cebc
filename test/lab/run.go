package lab

import (
	"path/filepath"
	"testing"
)

// Run starts a program of a test's own arrangement and waits until it is ready.
func Run(t testing.TB, log, path string, args ...string) *Process {
	t.Helper()
	p := &Process{Name: filepath.Base(log), Log: log + ".log", t: t, path: path, args: args}
	t.Cleanup(p.end)
	p.Restart()
	return p
}
