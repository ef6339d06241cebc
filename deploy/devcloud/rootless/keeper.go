package rootless

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The keeper's environment, not its arguments, makes it one: a test program has
// no arguments of its own.
const (
	rootVariable     = "DEVCLOUD_KEEPER_ROOT"
	metadataVariable = "DEVCLOUD_KEEPER_METADATA"
)

// gently is the byte that asks the keeper, before its standard input closes, to
// tell processes that they end.
const gently = 'g'

// agentPath is where an image has its agent.
const agentPath = "var/vcap/bosh/bin/bosh-agent"

// Pauses between two starts of the agent; one that lived long enough starts
// again after the first.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = time.Second
	steady       = 10 * time.Second
	gentleWait   = 3 * time.Second // between asking to end and killing
)

// A console that grew larger than this is emptied at the next look.
const (
	maxConsole  = 16 << 20
	consoleLook = 30 * time.Second
)

// Keep turns this process into a server's keeper when it was started as one,
// and then never returns. Call it first thing in main.
func Keep() {
	root := os.Getenv(rootVariable)
	if root == "" {
		return
	}
	// The agent is told of its parent's death by the kernel, and the parent is
	// the thread that started it.
	runtime.LockOSThread()
	if err := keep(root, os.Getenv(metadataVariable)); err != nil {
		fmt.Fprintln(os.Stderr, "devcloud:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func keep(root, metadata string) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot adopt the server's processes: %w", err)
	}
	hangup := make(chan bool)
	go func() { hangup <- lifeline() }()
	reaper := newReaper()
	start := time.NewTimer(0)
	defer start.Stop()
	look := time.NewTicker(consoleLook)
	defer look.Stop()
	pause, agent := firstPause, 0
	var began time.Time
	for {
		select {
		case gentle := <-hangup:
			return reaper.end(gentle)
		case <-start.C:
			pid, err := startAgent(root, metadata)
			if err != nil {
				fmt.Println("devcloud: the agent cannot be started:", err)
				start.Reset(longestPause)
				continue
			}
			agent, began = pid, time.Now()
			reaper.expect()
		case <-look.C:
			trim(os.Stdout, maxConsole)
		case pid := <-reaper.ended:
			if pid != agent {
				continue
			}
			if time.Since(began) > steady {
				pause = firstPause
			}
			fmt.Printf("devcloud: the agent ended; it starts again in %s\n", pause)
			start.Reset(pause)
			pause, agent = min(2*pause, longestPause), 0
		}
	}
}

// lifeline reads standard input until devcloud closes it, or dies.
func lifeline() (gentle bool) {
	b := make([]byte, 16)
	for {
		n, err := os.Stdin.Read(b)
		for _, c := range b[:n] {
			gentle = gentle || c == gently
		}
		if err != nil {
			return gentle
		}
	}
}

func startAgent(root, metadata string) (int, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	path := filepath.Join(root, agentPath)
	argv := []string{path, "-c", "-I", "openstack", "-P", "rootless", "-b", filepath.Join(root, "var/vcap"), "--metadata", metadata}
	attributes := &syscall.ProcAttr{
		Dir: root, Env: []string{"PATH=" + searchPath(), "HOME=" + root, "TMPDIR=" + filepath.Join(root, "tmp")},
		Files: []uintptr{null.Fd(), 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	}
	pid, err := syscall.ForkExec(path, argv, attributes)
	if errors.Is(err, syscall.ETXTBSY) || errors.Is(err, syscall.EAGAIN) {
		return 0, fmt.Errorf("%w; it is tried again", err)
	}
	return pid, err
}

func searchPath() string {
	if path := os.Getenv("PATH"); path != "" {
		return path
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

// trim empties a console that grew too large. It is open for appending, so what
// is printed next comes first in it.
func trim(console *os.File, most int64) {
	info, err := console.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() <= most {
		return
	}
	if console.Truncate(0) == nil {
		fmt.Fprintln(console, "devcloud: the console was too long and was emptied")
	}
}
