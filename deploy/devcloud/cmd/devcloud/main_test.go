package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/namespace"
	"github.com/microbosh/microbosh/deploy/devcloud/rootless"
)

const (
	patience    = 30 * time.Second
	runVariable = "DEVCLOUD_TEST_RUN"
)

// The test's program is devcloud, and a server's keeper, when it is told so.
func TestMain(m *testing.M) {
	rootless.Keep()
	namespace.Init()
	if os.Getenv(runVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is a running devcloud.
type program struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd
	url string
}

// launch runs devcloud in dir until the test ends, and returns when it serves.
func launch(t *testing.T, dir string, args ...string) *program {
	t.Helper()
	notify := filepath.Join(t.TempDir(), "n")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	must(t, err)
	defer socket.Close()
	self, err := os.Executable()
	must(t, err)
	p := &program{t: t, dir: dir, cmd: exec.Command(self, append([]string{"--dir", dir}, args...)...)}
	p.cmd.Env = append(os.Environ(), runVariable+"=1", "NOTIFY_SOCKET="+notify)
	p.cmd.Stderr = t.Output()
	must(t, p.cmd.Start())
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	must(t, socket.SetReadDeadline(time.Now().Add(patience)))
	b := make([]byte, 64)
	n, err := socket.Read(b)
	must(t, err)
	if string(b[:n]) != "READY=1" {
		t.Fatalf("told %q", b[:n])
	}
	var about struct{ URL string }
	text, err := os.ReadFile(filepath.Join(dir, devcloud.AddressFile))
	must(t, err)
	must(t, json.Unmarshal(text, &about))
	p.url = about.URL
	return p
}

func (p *program) end(signal syscall.Signal) {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Signal(signal) // it may have ended
		_ = p.cmd.Wait()                 // a killed one reports that
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ask sends one request and gives the answer.
func (p *program) ask(method, path, token, kind, body string, want int) (string, http.Header) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	must(p.t, err)
	req.Header.Set("X-Auth-Token", token)
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	must(p.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(p.t, err)
	if resp.StatusCode != want {
		p.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, b)
	}
	return string(b), resp.Header
}

// boot makes a server whose agent leaves a process behind, and gives the pids.
func (p *program) boot(password string) []int {
	p.t.Helper()
	const kind = "application/json"
	_, header := p.ask("POST", "/identity/v3/auth/tokens", "", kind, fmt.Sprintf(
		`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"admin","domain":{"id":"default"},"password":%q}}},"scope":{"project":{"name":"demo","domain":{"id":"default"}}}}}`, password), 201)
	token := header.Get("X-Subject-Token")
	const image = "5e1f0a3c-0000-4000-8000-000000000001"
	p.ask("POST", "/image/v2/images", token, kind, fmt.Sprintf(`{"id":%q,"disk_format":"raw","container_format":"bare"}`, image), 201)
	p.ask("PUT", "/image/v2/images/"+image+"/file", token, "application/octet-stream", rootImage(p.t), 204)
	answer, _ := p.ask("POST", "/compute/v2.1/servers", token, kind, fmt.Sprintf(`{"server":{"name":"a","imageRef":%q,"flavorRef":"1"}}`, image), 202)
	var made struct{ Server struct{ ID string } }
	must(p.t, json.Unmarshal([]byte(answer), &made))
	return pids(p.t, filepath.Join(p.dir, "servers", made.Server.ID, "root", "pids"))
}

func rootImage(t *testing.T) string {
	t.Helper()
	const agent = "#!/bin/sh\nsetsid sh -c 'echo $$ >>\"$HOME/pids\"; exec sleep 600' &\nwhile ! [ -s $HOME/pids ]; do :; done\necho $$ >>$HOME/pids\nexec sleep 600\n"
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Name: "var/vcap/bosh/bin/bosh-agent", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(agent))}))
	_, err := io.WriteString(w, agent)
	must(t, err)
	must(t, w.Close())
	return b.String()
}

func pids(t *testing.T, path string) []int {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		b, err := os.ReadFile(path)
		if lines := strings.Fields(string(b)); err == nil && len(lines) == 2 {
			var out []int
			for _, line := range lines {
				pid, err := strconv.Atoi(line)
				must(t, err)
				out = append(out, pid)
			}
			return out
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the server did not boot")
		}
	}
}

// watch gives descriptors, which never mean another process of the same pid.
func watch(t *testing.T, pids []int) []int {
	t.Helper()
	var out []int
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		must(t, err)
		t.Cleanup(func() { _ = unix.Close(fd) })
		out = append(out, fd)
	}
	return out
}

// However devcloud ends, nothing of its servers stays; the next one in the same
// folder has the same address and an empty cloud.
func TestNothingStays(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"told": syscall.SIGTERM, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "cloud")
			p := launch(t, dir, "--subnet", "127.21.0.0/16")
			password, err := os.ReadFile(filepath.Join(dir, "password"))
			must(t, err)
			info, err := os.Stat(filepath.Join(dir, "password"))
			must(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("the password's file is %s", info.Mode())
			}
			fds := watch(t, p.boot(strings.TrimSpace(string(password))))
			p.end(signal)
			for _, fd := range fds {
				n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
				if err != nil || n != 1 {
					t.Errorf("a process of the server lives: %v", err)
				}
			}
			again := launch(t, dir, "--subnet", "127.21.0.0/16")
			if again.url != p.url {
				t.Errorf("the address was %s and is %s", p.url, again.url)
			}
			left, err := os.ReadDir(filepath.Join(dir, "servers"))
			if err != nil || len(left) != 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

func TestFolderIsLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := claim(dir)
	must(t, err)
	defer first.Close()
	if second, err := claim(dir); err == nil {
		_ = second.Close()
		t.Error("two have the folder")
	}
}

func TestClaimLeavesForeignFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "volumes", "mine")
	must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	must(t, os.WriteFile(file, nil, 0o600))
	lock, err := claim(dir)
	must(t, err)
	defer lock.Close()
	_, err = os.Stat(file)
	must(t, err)
}
