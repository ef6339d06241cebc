package namespace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/deploy/devcloud"
)

const (
	guestVariable = "DEVCLOUD_GUEST"
	guestPath     = "/var/vcap/bosh/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	agentPath     = "/var/vcap/bosh/bin/bosh-agent"

	// Words on the pipe to the hypervisor, and bytes from it.
	rooted, started = "rooted", "started"
	goOn, gently    = '>', '.'

	restartPause = time.Second     // runit's, between two starts of a service
	gentleWait   = 5 * time.Second // for programs that were asked to end
)

// bootOrder is what the first process is told.
type bootOrder struct {
	Dir, Image, Name string
	Files            []devcloud.File
}

// initGuest is the life of a server's first process.
func initGuest(text string) error {
	runtime.LockOSThread() // capabilities are a thread's, and its children's
	var order bootOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		return fmt.Errorf("cannot read the order to boot: %w", err)
	}
	unix.CloseOnExec(3)
	tell := os.NewFile(3, "hypervisor")
	ctx := context.Background()
	if err := makeRoot(ctx, order); err != nil {
		return errors.Join(err, say(tell, err.Error()))
	}
	if err := say(tell, rooted); err != nil {
		return err
	}
	orders := make(chan byte)
	go listen(orders)
	if c, ok := <-orders; !ok || c != goOn {
		return nil
	}
	if err := askDHCP(ctx); err != nil {
		fmt.Println("devcloud:", err) // a server without a network still has a console
	}
	for _, c := range []uintptr{unix.CAP_SYS_TIME, unix.CAP_SYS_BOOT, unix.CAP_SYS_MODULE, unix.CAP_SYS_RAWIO} {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			return fmt.Errorf("cannot drop a capability: %w", err)
		}
	}
	return supervise(tell, orders)
}

func say(tell *os.File, word string) error {
	_, err := tell.WriteString(word + "\n")
	return err
}

// listen passes the hypervisor's bytes on, until it closes the pipe or dies.
func listen(orders chan<- byte) {
	defer close(orders)
	b := make([]byte, 1)
	for {
		if n, err := os.Stdin.Read(b); n != 1 || err != nil {
			return
		}
		orders <- b[0]
	}
}

// supervise keeps the agent running, as runit would, and reaps what it leaves.
func supervise(tell *os.File, orders <-chan byte) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGCHLD, unix.SIGTERM)
	start := time.NewTimer(0)
	defer start.Stop()
	agent := 0
	for {
		select {
		case c, ok := <-orders:
			if ok && c == gently {
				endGently(signals)
			}
			return nil // and the kernel ends the rest
		case s := <-signals:
			if s == unix.SIGTERM { // the agent shuts its machine down
				return nil
			}
			if reap(agent) {
				fmt.Println("devcloud: the agent ended; it is started again")
				start.Reset(restartPause)
			}
		case <-start.C:
			pid, err := startAgent()
			if err != nil {
				fmt.Println("devcloud: the agent cannot be started:", err)
				start.Reset(restartPause)
				continue
			}
			agent = pid
			if tell != nil {
				_ = say(tell, started) // the hypervisor may have gone
				_ = tell.Close()
				tell = nil
			}
		}
	}
}

// reap waits for all that ended; true when the agent is among them.
func reap(agent int) (ended bool) {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err != nil || pid <= 0 {
			return ended
		}
		ended = ended || pid == agent
	}
}

// endGently asks every program to end and waits a little.
func endGently(signals <-chan os.Signal) {
	_ = unix.Kill(-1, unix.SIGTERM) // none may be left
	limit := time.NewTimer(gentleWait)
	defer limit.Stop()
	for {
		reap(0)
		if errors.Is(unix.Kill(-1, 0), unix.ESRCH) {
			return
		}
		select {
		case <-signals:
		case <-limit.C:
			return
		}
	}
}

func startAgent() (int, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	process, err := os.StartProcess(agentPath, []string{agentPath, "-c", "-I", "openstack", "-P", "linux"}, &os.ProcAttr{
		Dir: "/", Env: []string{"PATH=" + guestPath, "HOME=/root", "container=devcloud"},
		Files: []*os.File{null, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, err
	}
	return process.Pid, nil
}
