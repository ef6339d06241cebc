package rootless

import (
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
