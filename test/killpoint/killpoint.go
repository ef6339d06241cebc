package killpoint

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Process is a program that is watched.
type Process struct {
	Cmd *exec.Cmd

	listener int
	names    map[uint32]string

	mu     sync.Mutex // guards what follows
	armed  bool
	left   int
	seen   int
	last   string
	killed bool
}

// Start starts cmd, watched, and kills it before its n-th change, counted from
// 1; 0 lets it live. It must not have ExtraFiles, and is waited for by the
// caller. The watching ends when everything that it started has, or with the
// test.
func Start(t testing.TB, cmd *exec.Cmd, n int) *Process {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := pair[0], os.NewFile(uintptr(pair[1]), "theirs")
	defer unix.Close(ours)
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, launch+"="+cmd.Path)
	cmd.Path, cmd.ExtraFiles = "/proc/self/exe", []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	p := &Process{Cmd: cmd, names: changes(), armed: n > 0, left: n + 1} // it begins with becoming the program
	if p.listener, err = receive(ours); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Skipf("needs seccomp's user notification, which this machine refuses: %v", err)
	}
	end, stop := newWake(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.watch(end)
	}()
	t.Cleanup(func() {
		stop()
		<-done
		_ = unix.Close(p.listener)
	})
	return p
}

// newWake is a pipe that makes the watching end.
func newWake(t testing.TB) (end int, stop func()) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return int(r.Fd()), func() { w.Close() }
}

func receive(socket int) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) == 0 {
		return 0, errors.Join(errors.New("the program could not be watched"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return 0, err
	}
	return fds[0], nil
}

// KillAt kills the program before the n-th change from now, counted from 1.
func (p *Process) KillAt(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.left = true, n
}

// Changes is how many there were since the start.
func (p *Process) Changes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen - 1 // it began with becoming the program
}

// Disarm lets the program live, and tells whether it was killed, before what.
func (p *Process) Disarm() (killed bool, before string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	return p.killed, p.last
}

// notification and response are the kernel's struct seccomp_notif and
// seccomp_notif_resp.
type notification struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type response struct {
	id    uint64
	val   int64
	error int32
	flags uint32
}

const (
	notifReceive = 0xc0502100
	notifSend    = 0xc0182101
	goOn         = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE
)

func (p *Process) watch(end int) {
	for {
		fds := []unix.PollFd{{Fd: int32(p.listener), Events: unix.POLLIN}, {Fd: int32(end), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		switch {
		case fds[0].Revents&unix.POLLIN != 0:
			p.answer()
		case fds[0].Revents != 0 || fds[1].Revents != 0:
			return
		}
	}
}

func (p *Process) answer() {
	var n notification
	if p.ioctl(notifReceive, unsafe.Pointer(&n)) != nil {
		return // whoever asked is gone
	}
	if p.count(n) && p.owns(n.pid) {
		return // without an answer it does not happen
	}
	r := response{id: n.id, flags: goOn}
	_ = p.ioctl(notifSend, unsafe.Pointer(&r))
}

// count kills when it is time, and tells whether the program was killed.
func (p *Process) count(n notification) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen++
	if !p.armed || p.killed {
		return p.killed
	}
	if p.left--; p.left > 0 {
		return false
	}
	name, ok := p.names[uint32(n.nr)]
	if !ok {
		name = "openat"
	}
	p.killed, p.last = true, fmt.Sprintf("%s of process %d", name, n.pid)
	_ = syscall.Kill(p.Cmd.Process.Pid, syscall.SIGKILL)
	return true
}

// owns tells whether a thread is the program's; what it started goes on.
func (p *Process) owns(thread uint32) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", p.Cmd.Process.Pid, thread))
	return err == nil
}

func (p *Process) ioctl(request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, failed := unix.Syscall(unix.SYS_IOCTL, uintptr(p.listener), request, uintptr(arg))
		switch failed {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return failed
		}
	}
}
