package killpoint

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// launch marks the copy of the test that becomes the program.
const launch = "MICROBOSH_KILLPOINT"

// socketFD is where that copy finds its end of the socket.
const socketFD = 3

// Launch becomes the program when this process was started to do so, else it
// returns at once.
func Launch() {
	path := os.Getenv(launch)
	if path == "" {
		return
	}
	fmt.Fprintln(os.Stderr, "killpoint:", become(path))
	os.Exit(1)
}

func become(path string) error {
	runtime.LockOSThread() // the filter is the thread's that executes the program
	if err := os.Unsetenv(launch); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("cannot give up new privileges: %w", err)
		}
	}
	listener, err := install()
	if err != nil {
		return err
	}
	if err := unix.Sendmsg(socketFD, []byte{0}, unix.UnixRights(listener), nil, 0); err != nil {
		return fmt.Errorf("cannot hand over the listener: %w", err)
	}
	_ = unix.Close(listener)
	_ = unix.Close(socketFD)
	return syscall.Exec(path, os.Args, os.Environ())
}

// changes are the system calls that are counted.
func changes() map[uint32]string {
	all := map[uint32]string{
		unix.SYS_RENAMEAT: "renameat", unix.SYS_RENAMEAT2: "renameat2", unix.SYS_SYMLINKAT: "symlinkat", unix.SYS_LINKAT: "linkat",
		unix.SYS_UNLINKAT: "unlinkat", unix.SYS_MKDIRAT: "mkdirat", unix.SYS_MKNODAT: "mknodat", unix.SYS_FTRUNCATE: "ftruncate",
		unix.SYS_FCHMODAT: "fchmodat", unix.SYS_FCHMOD: "fchmod", unix.SYS_FCHOWNAT: "fchownat", unix.SYS_FCHOWN: "fchown",
		unix.SYS_MOUNT: "mount", unix.SYS_UMOUNT2: "umount2", unix.SYS_SETHOSTNAME: "sethostname", unix.SYS_EXECVE: "execve",
		unix.SYS_SENDTO: "sendto",
	}
	for number, name := range older() {
		all[number] = name
	}
	return all
}

// install makes the filter and returns what the kernel asks through.
func install() (int, error) {
	const (
		number, flags = 0, 16 + 2*8 // offsets in struct seccomp_data: nr, args[2]
		creates       = unix.O_CREAT | unix.O_TRUNC
		load          = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal         = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		anyBit        = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		answer        = unix.BPF_RET | unix.BPF_K
	)
	program := []unix.SockFilter{{Code: load, K: number}}
	for call := range changes() {
		program = append(program,
			unix.SockFilter{Code: equal, Jf: 1, K: call},
			unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	program = append(program,
		unix.SockFilter{Code: equal, Jf: 2, K: unix.SYS_OPENAT},
		unix.SockFilter{Code: load, K: flags},
		unix.SockFilter{Code: anyBit, Jt: 1, K: creates},
		unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_USER_NOTIF})
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&prog)))
	if failed != 0 {
		return 0, fmt.Errorf("cannot watch system calls: %w", failed)
	}
	return int(fd), nil
}
