package namespace_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/namespace"
)

const patience = time.Minute

// The hypervisor starts this program once more as a server's first process.
func TestMain(m *testing.M) {
	namespace.Init()
	os.Exit(m.Run())
}

// inNetwork runs the test in a network of its own.
func inNetwork(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	if namespace.Entered() {
		body(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make namespaces and mounts")
	}
	for _, tool := range []string{"mke2fs", "sfdisk", "iptables", "useradd", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (make deps-root installs it)", tool)
		}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skip("needs loop devices, which this kernel lacks")
	}
	self, err := os.Executable()
	must(t, err)
	code, err := namespace.Enter([]string{self, "-test.run=^" + t.Name() + "$", "-test.v"})
	if errors.Is(err, fs.ErrPermission) {
		t.Skipf("needs namespaces, which this machine refuses: %v", err)
	}
	must(t, err)
	if code != 0 {
		t.Fatalf("in its network the test ended with %d", code)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const settings = `{"agent_id":"bm-1","vm":{"name":"vm-1"},"mbus":"https://vcap:secret@0.0.0.0:6868","ntp":["10.20.0.1"],
	"blobstore":{"provider":"local","options":{"blobstore_path":"/var/vcap/micro_bosh/data/cache"}},
	"networks":{"bosh":{"type":"dynamic","default":["dns","gateway"]}},
	"disks":{"system":"/dev/sda","ephemeral":"/dev/sdb","persistent":{"vol-1":"/dev/sdc"}},
	"iptables":{"drop_output":["10.0.0.9"]},
	"env":{"bosh":{"password":"$6$salt$hash"}},"registry":{"endpoint":""},"server":{"name":"vm-1"}}`

// image is a stemcell's root with the agent, and scripts beside it.
func image(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	agent := filepath.Join(dir, "agent")
	build := exec.Command("go", "build", "-o", agent, "github.com/microbosh/microbosh/services/agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(agent)
	must(t, err)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Name: "var/vcap/bosh/bin/bosh-agent", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(data))}))
	_, err = w.Write(data)
	must(t, err)
	for name, text := range scripts {
		must(t, w.WriteHeader(&tar.Header{Name: "var/vcap/bosh/bin/" + name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(text))}))
		_, err = w.Write([]byte(text))
		must(t, err)
	}
	must(t, w.Close())
	path := filepath.Join(dir, "root.img")
	must(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

type server struct {
	*testing.T
	devcloud.Machine
	guest      devcloud.Guest
	ctx        context.Context
	hypervisor *namespace.Hypervisor
	dir        string
}

// call asks the agent over https.
func (s *server) call(method string, args ...any) json.RawMessage {
	s.Helper()
	if args == nil {
		args = []any{}
	}
	body, err := json.Marshal(map[string]any{"method": method, "arguments": args, "reply_to": "test"})
	must(s.T, err)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	deadline := time.Now().Add(patience)
	for {
		req, err := http.NewRequest(http.MethodPost, fmt.Sprintf("https://%s:6868/agent", s.guest.Address), bytes.NewReader(body))
		must(s.T, err)
		req.SetBasicAuth("vcap", "secret")
		resp, err := client.Do(req)
		if err != nil { // not up yet
			if time.Now().After(deadline) {
				s.Fatalf("%s: %v\n%s", method, err, s.console())
			}
			<-time.After(20 * time.Millisecond)
			continue
		}
		out, err := io.ReadAll(resp.Body)
		must(s.T, err)
		must(s.T, resp.Body.Close())
		var reply struct {
			Value     json.RawMessage
			Exception *struct{ Message string }
		}
		must(s.T, json.Unmarshal(out, &reply))
		if reply.Exception != nil {
			s.Fatalf("%s: %s\n%s", method, reply.Exception.Message, s.console())
		}
		return reply.Value
	}
}

// task runs a method to its end.
func (s *server) task(method string, args ...any) json.RawMessage {
	s.Helper()
	value := s.call(method, args...)
	for {
		var running struct {
			ID    string `json:"agent_task_id"`
			State string `json:"state"`
		}
		if json.Unmarshal(value, &running) != nil || running.State != "running" {
			return value
		}
		value = s.call("get_task", running.ID, map[string]string{"wait": "25s"})
	}
}

func (s *server) console() string {
	text, _ := os.ReadFile(filepath.Join(s.guest.Dir, devcloud.Console))
	return string(text)
}

// in runs a command in the server, found as the parent of its agent.
func (s *server) in(command string) string {
	s.Helper()
	pids, err := filepath.Glob("/proc/[0-9]*/root/etc/hostname")
	must(s.T, err)
	for _, path := range pids {
		if name, err := os.ReadFile(path); err == nil && string(name) == "bm-1\n" {
			out, err := exec.Command("nsenter", "-a", "-t", strings.Split(path, "/")[2], "sh", "-c", command).CombinedOutput()
			if err != nil {
				s.Fatalf("%s: %v: %s", command, err, out)
			}
			return strings.TrimSpace(string(out))
		}
	}
	s.Fatalf("the server is not found\n%s", s.console())
	return ""
}

func (s *server) is(command, want string) {
	s.Helper()
	if got := s.in(command); got != want {
		s.Errorf("%s: got\n%s\nwant\n%s", command, got, want)
	}
}

// newServer makes a server that is not booted yet.
func newServer(t *testing.T, scripts map[string]string) *server {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	h, err := namespace.New(ctx, namespace.Options{Size: func(string) int64 { return 256 << 20 }, Log: zerolog.Nop()})
	must(t, err)
	t.Cleanup(func() { must(t, h.Close()) })
	s := &server{T: t, ctx: ctx, hypervisor: h, dir: dir}
	s.guest = devcloud.Guest{
		ID: "s", Name: "vm-1", Dir: filepath.Join(dir, "servers", "s"), Address: netip.MustParseAddr("10.20.0.7"),
		Image: devcloud.Image{ID: "i", Path: image(t, scripts)}, UserData: []byte(settings), Key: "ssh-ed25519 A b",
		Disks: map[string]string{"/dev/sdb": s.volume("ephemeral"), "/dev/sdc": s.volume("0123456789abcdef0123456789")},
	}
	return s
}

func (s *server) volume(id string) string {
	s.Helper()
	path := filepath.Join(s.dir, "volumes", id)
	must(s.T, os.MkdirAll(path, 0o700))
	return path
}

// boot returns when the agent answers.
func (s *server) boot() {
	s.Helper()
	begin := time.Now()
	var err error
	s.Machine, err = s.hypervisor.Boot(s.ctx, s.guest)
	if err != nil {
		s.Fatalf("%v\n%s", err, s.console())
	}
	s.Cleanup(func() { _ = s.Stop(false) })
	up := time.Since(begin)
	if got := string(s.call("ping")); got != `"pong"` {
		s.Fatalf("got %s", got)
	}
	s.Logf("agent started after %v, answered after %v", up, time.Since(begin))
}

// check looks at what every boot must come to.
func (s *server) check() {
	s.Helper()
	s.is("hostname", "bm-1")
	s.is("ip -4 -o addr show dev eth0 | awk '{print $4}'; ip route show default | awk '{print $3}'", "10.20.0.7/16\n10.20.0.1")
	s.is("getent shadow root vcap | cut -d: -f2; cat /home/vcap/.ssh/authorized_keys", "$6$salt$hash\n$6$salt$hash\nssh-ed25519 A b")
	s.is("iptables -S agent-filter | grep -c -e 10.0.0.9 -e 169.254.169.254; iptables -S OUTPUT | grep -c agent-filter", "2\n1")
	s.is("findmnt -n -o FSTYPE /var/vcap/data; findmnt -n -o FSTYPE /tmp; cat /etc/cron.allow", "ext4\ntmpfs\nvcap")
	s.is("stat -c '%a %U:%G' /var/vcap/data/sys/log /tmp; readlink /var/vcap/sys", "750 root:vcap\n770 root:vcap\ndata/sys")
	s.is("grep -c ' /var/vcap/data ' /proc/self/mountinfo; cat /proc/swaps | wc -l", "1\n1")
}

func TestAnAgentMakesARealMachine(t *testing.T) {
	inNetwork(t, func(t *testing.T) {
		name, err := os.Hostname()
		must(t, err)
		s := newServer(t, nil)
		s.boot()
		s.check()
		s.task("mount_disk", "vol-1")
		s.is("findmnt -n -o FSTYPE /var/vcap/store; echo kept > /var/vcap/store/file; echo mine > /var/vcap/data/file", "ext4")
		must(t, s.Attach("/dev/sdd", s.volume("plugged"))) // while it runs
		s.is("readlink /dev/disk/by-id/virtio-plugged; [ -b /dev/sdd ] && echo there", "../../sdd\nthere")
		must(t, s.Detach("/dev/sdd"))
		s.is("ls /dev/sdd /dev/disk/by-id/virtio-plugged 2>/dev/null | wc -l", "0")

		must(t, s.Stop(true)) // and the metadata is gone at the next boot: settings are the cached ones
		s.guest.UserData = nil
		s.boot()
		s.check()
		s.is("cat /var/vcap/store/file /var/vcap/data/file", "kept\nmine")
		must(t, s.Stop(false))
		must(t, s.hypervisor.Remove(s.guest))
		if left, _ := filepath.Glob(filepath.Join(s.dir, "servers", "*")); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
		if now, err := os.Hostname(); err != nil || now != name {
			t.Errorf("the host is called %s now", now)
		}
		if text, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(text), s.dir) {
			t.Errorf("a mount is left on the host: %v", err)
		}
	})
}

// killer stands before a tool and kills the agent before and after its first
// run.
const killer = `#!/bin/bash
tool=${0##*/}
mkdir -p /var/vcap/killed
PATH=/usr/sbin:/sbin:/usr/bin:/bin
if [ ! -e "/var/vcap/killed/$tool.1" ]; then
  touch "/var/vcap/killed/$tool.1"; kill -9 $PPID; exit 1
fi
"$tool" "$@"
code=$?
if [ ! -e "/var/vcap/killed/$tool.2" ]; then
  touch "/var/vcap/killed/$tool.2"; kill -9 $PPID
fi
exit $code
`

// Whatever tool a step has just begun or ended when the agent is killed, the
// next agent comes to the same machine.
func TestAnAgentKilledAroundEveryTool(t *testing.T) {
	inNetwork(t, func(t *testing.T) {
		scripts := map[string]string{}
		tools := strings.Fields("iptables ip6tables useradd chpasswd blkid sfdisk mkswap mke2fs")
		for _, tool := range tools {
			scripts[tool] = killer
		}
		s := newServer(t, scripts)
		s.boot()
		s.check()
		s.is("ls /var/vcap/killed | wc -l", fmt.Sprint(2*len(tools)))
		s.task("mount_disk", "vol-1")
		s.is("findmnt -n -o FSTYPE /var/vcap/store", "ext4")
	})
}
