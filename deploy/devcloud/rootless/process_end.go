package rootless

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// awaitEnd waits, not for long, until a process that was killed is gone.
func awaitEnd(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it is
	}
	defer unix.Close(fd)
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(gentleWait.Milliseconds()))
}

// kill signals a process if it still is the one that is meant once its pid is
// held: until then the pid may become another's.
func kill(pid int, signal syscall.Signal, meant func() bool) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it is gone
	}
	defer unix.Close(fd)
	if meant() {
		_ = unix.PidfdSendSignal(fd, signal, nil, 0) // it may go at this moment
	}
}
