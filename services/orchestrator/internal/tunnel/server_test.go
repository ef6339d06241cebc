package tunnel_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/microbosh/microbosh/services/orchestrator/internal/tunnel/tunneltest"
)

// server is an sshd that can be ended and started again.
type server interface {
	start(t *testing.T, address, hostKey string) (stop func())
	user(t *testing.T) string
}

// ours is one of the library's, in this process.
type ours struct{ authorized string }

func (ours) user(*testing.T) string { return "vcap" }

func (s ours) start(t *testing.T, address, hostKey string) func() {
	t.Helper()
	return tunneltest.Serve(t, address, hostKey, s.authorized)
}

// openssh is the machine's own sshd.
type openssh struct{ authorized string }

func (openssh) user(t *testing.T) string {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return me.Username
}

func (s openssh) start(t *testing.T, address, hostKey string) func() {
	t.Helper()
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		sshd = "/usr/sbin/sshd"
	}
	dir := t.TempDir()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := fmt.Sprintf("Port %s\nListenAddress %s\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\n",
		port, host, write("host", hostKey), write("authorized", s.authorized))
	cmd := exec.Command(sshd, "-D", "-e", "-f", write("config", config))
	cmd.Stderr = &tunneltest.Log{T: t}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		// Its child keeps the connection of a client, which is to break as well.
		children(cmd.Process.Pid, func(p *os.Process) { _ = p.Kill() })
		_ = cmd.Process.Kill()
		var ended *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &ended) {
			t.Error(err)
		}
	})
}

// haveOpenSSH skips where there is none, or none that could run.
func haveOpenSSH(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/sshd"); err != nil {
		t.Skip("no OpenSSH server on this machine: /usr/sbin/sshd is not there")
	}
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where it gives up its privileges
			t.Skipf("sshd of root needs /run/sshd: %v", err)
		}
	}
}

// children are the processes below one, which a server starts for each client.
func children(pid int, each func(*os.Process)) {
	list, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return
	}
	for _, file := range list {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, word := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(word)
			if err != nil {
				continue
			}
			children(child, each)
			if p, err := os.FindProcess(child); err == nil {
				each(p)
			}
		}
	}
}

// dial connects to a registry that listens there.
func dial(address string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }
}
