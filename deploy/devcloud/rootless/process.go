package rootless

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processes are the living ones: parents by pid.
func processes() map[int]int {
	parents := map[int]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return parents
	}
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		if above, ok := parent(pid); ok {
			parents[pid] = above
		}
	}
	return parents
}

// parent is a living process's.
func parent(pid int) (int, bool) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, false // it ended
	}
	// The name stands in parentheses and may hold anything.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 2 || fields[0] == "Z" {
		return 0, false
	}
	above, err := strconv.Atoi(fields[1])
	return above, err == nil
}

// below tells whether a process descends from another.
func below(pid, ancestor int) bool {
	const deepest = 1000 // pids that are reused meanwhile may make a circle
	for range deepest {
		above, ok := parent(pid)
		if !ok || above <= 1 {
			return false
		}
		if above == ancestor {
			return true
		}
		pid = above
	}
	return false
}

// descendants are the living processes below pid.
func descendants(pid int) []int {
	parents := processes()
	var out []int
	for child, above := range parents {
		for steps := 0; above > 1 && steps < len(parents); above, steps = parents[above], steps+1 {
			if above == pid {
				out = append(out, child)
				break
			}
		}
	}
	return out
}

// sweep kills the processes of a server whose keeper was killed: those that
// carry the temporary folder which only its agent was given, or run a program
// from its root.
func sweep(root string) {
	deadline := time.Now().Add(gentleWait)
	for time.Now().Before(deadline) {
		left := 0
		for pid := range processes() {
			if pid != os.Getpid() && belongs(pid, root) {
				left++
				kill(pid, syscall.SIGKILL, func() bool { return belongs(pid, root) })
				awaitEnd(pid)
			}
		}
		if left == 0 {
			return
		}
	}
}

// belongs tells by environment and program, both told by the kernel.
func belongs(pid int, root string) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	if program, err := os.Readlink(filepath.Join(dir, "exe")); err == nil && strings.HasPrefix(program, root+"/") {
		return true
	}
	environment, err := os.ReadFile(filepath.Join(dir, "environ"))
	if err != nil {
		return false
	}
	mark := "TMPDIR=" + filepath.Join(root, "tmp")
	for entry := range bytes.SplitSeq(environment, []byte{0}) {
		if string(entry) == mark {
			return true
		}
	}
	return false
}
