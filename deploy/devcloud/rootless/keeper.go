package rootless

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The keeper's environment, not its arguments, makes it one: a test program has
// no arguments of its own.
const (
	keeperVariable   = "DEVCLOUD_KEEPER_ROOT"
	metadataVariable = "DEVCLOUD_KEEPER_METADATA"
)

// agentPath is where an image has its agent.
const agentPath = "var/vcap/bosh/bin/bosh-agent"

// restartPause is runit's between two starts of a service.
const restartPause = time.Second

// Keep turns this process into a server's keeper when it was started as one,
// and then never returns. Call it first thing in main.
func Keep() {
	root := os.Getenv(keeperVariable)
	if root == "" {
		return
	}
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
	hangup := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until devcloud closes it, or dies
		close(hangup)
	}()
	ended := make(chan int) // pids that were waited for
	children := make(chan struct{}, 1)
	go reap(children, ended)
	start := time.NewTimer(0)
	defer start.Stop()
	agent := 0
	for {
		select {
		case <-hangup:
			end(ended)
			return nil
		case <-start.C:
			pid, err := startAgent(root, metadata)
			if err != nil {
				fmt.Println("devcloud: the agent cannot be started:", err)
				start.Reset(restartPause)
				continue
			}
			agent = pid
			wake(children)
		case pid := <-ended:
			if pid == agent {
				fmt.Println("devcloud: the agent ended; it is started again")
				start.Reset(restartPause)
			}
		}
	}
}

func wake(children chan struct{}) {
	select {
	case children <- struct{}{}:
	default:
	}
}

// reap waits for every child, adopted ones too. Without any it waits for word
// of a new one.
func reap(children <-chan struct{}, ended chan<- int) {
	for {
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		switch {
		case err == nil:
			ended <- pid
		case err == syscall.ECHILD:
			<-children
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
	temp := filepath.Join(root, "tmp")
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return 0, err
	}
	process, err := os.StartProcess(path, []string{
		path, "-c", "-I", "openstack", "-P", "rootless", "-b", filepath.Join(root, "var/vcap"), "--metadata", metadata,
	}, &os.ProcAttr{
		Dir: root, Env: []string{"PATH=" + os.Getenv("PATH") + defaultPath(), "HOME=" + root, "TMPDIR=" + temp},
		Files: []*os.File{null, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, err
	}
	return process.Pid, nil
}

// defaultPath is for a keeper, which has no PATH itself.
func defaultPath() string {
	if os.Getenv("PATH") != "" {
		return ""
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

// end kills all descendants until none is left. Whatever loses its parent
// becomes a child of this process, so none escapes; each end that is reaped is
// a reason to look again.
func end(ended <-chan int) {
	for range 1000 {
		pids := descendants(os.Getpid())
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone already
		}
		select {
		case <-ended:
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// descendants are the living processes below pid, by /proc.
func descendants(pid int) []int {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	parent := map[int]int{}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		text := string(b)
		i := strings.LastIndexByte(text, ')')
		fields := strings.Fields(text[i+1:])
		child, err := strconv.Atoi(strings.TrimSpace(text[:strings.IndexByte(text, ' ')]))
		if err != nil || len(fields) < 2 || fields[0] == "Z" {
			continue
		}
		if above, err := strconv.Atoi(fields[1]); err == nil {
			parent[child] = above
		}
	}
	var out []int
	for child := range parent {
		for above, steps := parent[child], 0; above > 1 && steps < 1000; above, steps = parent[above], steps+1 {
			if above == pid {
				out = append(out, child)
				break
			}
		}
	}
	return out
}
