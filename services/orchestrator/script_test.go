package main

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"microbosh": main})
}

// TestScripts runs the command line as people do. The scripts double as its
// documentation.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "hold": hold, "garbage": garbage,
		},
	})
}

// exits runs a command that must end with a code: exits CODE PROGRAM ARGS...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	code := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		code = err.Error()[len("exit status "):]
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// hold locks a file until the script ends: hold FILE
func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hold FILE")
	}
	fd, err := syscall.Open(ts.MkAbs(args[0]), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	ts.Check(err)
	ts.Check(syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB))
	ts.Defer(func() { ts.Check(syscall.Close(fd)) })
}

// garbage writes a file that is no text: garbage FILE BYTES
func garbage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: garbage FILE BYTES")
	}
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i * 31)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}
