package rootless_test

import (
	"archive/tar"
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/deploy/devcloud/rootless"
)

const patience = 30 * time.Second

// The hypervisor starts this program once more as a server's keeper.
func TestMain(m *testing.M) {
	rootless.Keep()
	os.Exit(m.Run())
}

// agent is a server's program: it notes its start, starts a process that leaves
// it, and waits.
const agent = `#!/bin/sh
root=$HOME
echo "agent $*"
setsid sh -c 'echo $$ >>"$HOME/daemons"; exec sleep 600' </dev/null >/dev/null 2>&1 &
while ! [ -s "$root/daemons" ]; do :; done
trap 'echo asked to end; exit 0' TERM
echo $$ >>"$root/agents"
sleep 600 &
while :; do wait; done # its sleep may be asked first
`

func write(t *testing.T, members ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range members {
		data := h.PAXRecords["data"]
		h.PAXRecords = nil
		if h.Size == 0 {
			h.Size = int64(len(data))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func file(name, data string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, PAXRecords: map[string]string{"data": data}}
}

// server is a guest with the fake agent.
func server(t *testing.T, address string) devcloud.Guest {
	t.Helper()
	image := write(t, tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}, file("var/vcap/bosh/bin/bosh-agent", agent))
	return devcloud.Guest{
		ID: "s", Name: "vm", Dir: filepath.Join(t.TempDir(), "server"), Address: netip.MustParseAddr(address),
		Image: devcloud.Image{ID: "i", Path: image}, UserData: []byte(`{"server":{"name":"vm"}}`), Key: "ssh-ed25519 A b",
	}
}

func hypervisor(t *testing.T) *rootless.Hypervisor {
	t.Helper()
	h, err := rootless.New(rootless.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func boot(t *testing.T, h *rootless.Hypervisor, g devcloud.Guest) devcloud.Machine {
	t.Helper()
	m, err := h.Boot(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Stop(false); err != nil {
			t.Error(err)
		}
		if err := h.Remove(g); err != nil {
			t.Error(err)
		}
	})
	return m
}

// pids waits until a file below the server's root names so many processes.
func pids(t *testing.T, g devcloud.Guest, name string, count int) []int {
	t.Helper()
	path := filepath.Join(g.Dir, "root", name)
	var out []int
	until(t, func() bool {
		b, err := os.ReadFile(path)
		if err != nil || !bytes.HasSuffix(b, []byte("\n")) {
			return false
		}
		out = out[:0]
		for _, line := range strings.Fields(string(b)) {
			pid, err := strconv.Atoi(line)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, pid)
		}
		return len(out) >= count
	})
	return out
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("waited in vain")
		}
	}
}

// ended waits until a process is gone.
func ended(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		until(t, func() bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
			return err == nil && n == 1
		})
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	}
}

func console(t *testing.T, g devcloud.Guest) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(g.Dir, devcloud.Console))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestStopEndsEverything(t *testing.T) {
	t.Parallel()
	for name, gentle := range map[string]bool{"hard": false, "gentle": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, g := hypervisor(t), server(t, "127.20.7.1")
			m := boot(t, h, g)
			all := append(pids(t, g, "agents", 1), pids(t, g, "daemons", 1)...)
			if err := m.Stop(gentle); err != nil {
				t.Fatal(err)
			}
			ended(t, all...)
			if asked := strings.Contains(console(t, g), "asked to end"); asked != gentle {
				t.Errorf("the agent was asked: %v; its console:\n%s", asked, console(t, g))
			}
			if err := h.Remove(g); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(g.Dir); !os.IsNotExist(err) {
				t.Errorf("the server's folder is there: %v", err)
			}
		})
	}
}

func TestAgentStartsAgain(t *testing.T) {
	t.Parallel()
	h, g := hypervisor(t), server(t, "127.20.7.2")
	boot(t, h, g)
	first := pids(t, g, "agents", 1)[0]
	if err := unix.Kill(first, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if again := pids(t, g, "agents", 2)[1]; again == first {
		t.Error("it is the same process")
	}
}

func TestBootAgainKeepsFiles(t *testing.T) {
	t.Parallel()
	h, g := hypervisor(t), server(t, "127.20.7.3")
	m := boot(t, h, g)
	pids(t, g, "agents", 1)
	mark := filepath.Join(g.Dir, "root", "mark")
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.Stop(true); err != nil {
		t.Fatal(err)
	}
	boot(t, h, g)
	pids(t, g, "agents", 2)
	if _, err := os.Stat(mark); err != nil {
		t.Error(err)
	}
}

// What a killed keeper leaves is ended, too.
func TestKeeperKilled(t *testing.T) {
	t.Parallel()
	h, g := hypervisor(t), server(t, "127.20.7.4")
	boot(t, h, g)
	agentPID, daemon := pids(t, g, "agents", 1)[0], pids(t, g, "daemons", 1)[0]
	if err := unix.Kill(parent(t, agentPID), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ended(t, agentPID, daemon)
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	above, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	return above
}

// What one server does to its files, another one does not see.
func TestServersShareNothingWritable(t *testing.T) {
	t.Parallel()
	h, g := hypervisor(t), server(t, "127.20.7.10")
	large := strings.Repeat("x", 1<<20)
	g.Image.Path = write(t, file("var/vcap/bosh/bin/bosh-agent", agent), file("etc/small", "x"), file("large", large))
	boot(t, h, g)
	other := g
	other.Dir, other.Address = filepath.Join(t.TempDir(), "other"), netip.MustParseAddr("127.20.7.11")
	f, err := os.OpenFile(filepath.Join(g.Dir, "root", "etc", "small"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("changed"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	boot(t, h, other)
	if b, err := os.ReadFile(filepath.Join(other.Dir, "root", "etc", "small")); err != nil || string(b) != "x" {
		t.Errorf("the other server has %q, %v", b, err)
	}
	one, err := os.Stat(filepath.Join(g.Dir, "root", "large"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.Stat(filepath.Join(other.Dir, "root", "large"))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(one, two) || one.Mode().Perm()&0o222 != 0 {
		t.Errorf("large files have mode %v, shared: %v", one.Mode(), os.SameFile(one, two))
	}
}

func TestVolumes(t *testing.T) {
	t.Parallel()
	h, g := hypervisor(t), server(t, "127.20.7.5")
	folder := t.TempDir()
	g.Disks = map[string]string{"/dev/sdb": folder}
	m := boot(t, h, g)
	device := func(name string) string {
		target, err := os.Readlink(filepath.Join(g.Dir, "root", "dev", name))
		if err != nil {
			return ""
		}
		return target
	}
	if err := m.Attach("/dev/sdc", folder); err != nil {
		t.Fatal(err)
	}
	if device("sdb") != folder || device("sdc") != folder {
		t.Errorf("devices lead to %q and %q", device("sdb"), device("sdc"))
	}
	if err := m.Detach("/dev/sdb"); err != nil {
		t.Fatal(err)
	}
	if device("sdb") != "" {
		t.Error("the device is still there")
	}
}

func link(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}
}

// Links that stay in the image stay what they are; absolute ones mean its root.
func TestUnpackLinks(t *testing.T) {
	t.Parallel()
	image := write(t, file("etc/issue", "x"), link("a/b/one", "../../etc/issue"), link("a/b/two", "/etc/issue"), link("a/root", "/"),
		link("top", "/etc"), tar.Header{Name: "a/hard", Typeflag: tar.TypeLink, Linkname: "etc/issue"})
	dir := filepath.Join(t.TempDir(), "root")
	if err := rootless.Unpack(t.Context(), image, dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/b/one", "a/b/two", "a/root/etc/issue", "top/issue", "a/hard"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != "x" {
			t.Errorf("%s is %q, %v", name, b, err)
		}
		if got, err := filepath.EvalSymlinks(filepath.Join(dir, name)); err != nil || !strings.HasPrefix(got, dir+"/") {
			t.Errorf("%s leads to %s, %v", name, got, err)
		}
	}
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		members []tar.Header
		want    string
	}{
		"outside":        {[]tar.Header{file("../evil", "x")}, "outside"},
		"absolute":       {[]tar.Header{file("/evil", "x")}, "outside"},
		"behind symlink": {[]tar.Header{{Name: "way", Typeflag: tar.TypeSymlink, Linkname: "/tmp"}, file("way/evil", "x")}, "way/evil"},
		"link out":       {[]tar.Header{link("a/way", "../../etc")}, "leads out"},
		"link out later": {[]tar.Header{link("here", "."), link("way", "here/..")}, "leads out"},
		"link by a link": {[]tar.Header{link("a/b/c", "../.."), link("a/b/c/way", "../x")}, "behind the link"},
		"hard link out":  {[]tar.Header{{Name: "a", Typeflag: tar.TypeLink, Linkname: "../../etc/passwd"}}, "leads out"},
		"hard link to a link": {[]tar.Header{
			link("a/b/up", "../.."), {Name: "up", Typeflag: tar.TypeLink, Linkname: "a/b/up"},
		}, "is no file"},
		"a device": {[]tar.Header{{Name: "dev/null", Typeflag: tar.TypeChar}}, "neither file"},
		"twice":    {[]tar.Header{file("a", "x"), file("a", "y")}, "exists"},
		"empty":    {nil, "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := server(t, "127.20.7.6")
			g.Image.Path = write(t, tc.members...)
			_, err := hypervisor(t).Boot(context.Background(), g)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got: %v", err)
			}
		})
	}
}
