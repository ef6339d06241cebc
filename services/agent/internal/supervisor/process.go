package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is a living process, held by a pidfd so that a number used again by
// another process is not taken for it.
type process struct {
	pid   int
	start uint64 // ticks since boot, tells two processes of one pid apart
	fd    *os.File
}

// open holds the process if it lives.
func open(pid int) (*process, error) {
	if pid <= 0 {
		return nil, unix.ESRCH
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot watch process %d: %w", pid, err)
	}
	p := &process{pid: pid, fd: os.NewFile(uintptr(fd), "pidfd")}
	if p.start, err = startTime(pid); err == nil && ended(uintptr(fd)) {
		err = unix.ESRCH
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *process) close() { _ = p.fd.Close() }

// wait returns nil when the process has ended, or ctx's cause.
func (p *process) wait(ctx context.Context) error {
	raw, err := p.fd.SyscallConn()
	if err != nil {
		return fmt.Errorf("cannot watch process %d: %w", p.pid, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = p.fd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err = raw.Read(ended)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("cannot watch process %d: %w", p.pid, err)
	}
	return nil
}

// ended asks a pidfd: it is readable once its process has ended, reaped or not.
func ended(fd uintptr) bool {
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(polled, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}

// startTime is the 22nd field of /proc/<pid>/stat; the second may hold spaces.
func startTime(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("cannot look at process %d: %w", pid, err)
	}
	after := stat[bytes.LastIndexByte(stat, ')')+1:]
	const startField = 22 - 3 // the first field after the name is the 3rd
	fields := strings.Fields(string(after))
	if len(fields) <= startField {
		return 0, fmt.Errorf("cannot look at process %d: its stat is short", pid)
	}
	return strconv.ParseUint(fields[startField], 10, 64)
}

// readPID reads a pid file; 0 when there is none to be read.
func readPID(path string) int {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	buf := make([]byte, 32)
	n, _ := f.Read(buf)
	pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil || pid <= 1 {
		return 0
	}
	return pid
}
