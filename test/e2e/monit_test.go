package e2e_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

// A server's first process is this program started once more.
func TestMain(m *testing.M) {
	namespace.Init()
	os.Exit(m.Run())
}

// guest is a namespace VM whose agent runs real monit.
type guest struct {
	*director
	machine devcloud.Machine
	devcloud.Guest
}

// inNetwork runs the test in a network of its own, where servers of their own
// can be booted.
func inNetwork(t *testing.T, tools ...string) (inside bool) {
	t.Helper()
	if namespace.Entered() {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make namespaces and mounts")
	}
	for _, tool := range append(tools, "mke2fs", "sfdisk", "iptables", "useradd") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (make deps-root installs it)", tool)
		}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skip("needs loop devices, which this kernel lacks")
	}
	bin := lab.Programs(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("MICROBOSH_BIN", bin)
	code, err := namespace.Enter([]string{self, "-test.run=^" + t.Name() + "$", "-test.v"})
	if errors.Is(err, fs.ErrPermission) {
		t.Skipf("needs namespaces, which this machine refuses: %v", err)
	}
	if err != nil || code != 0 {
		t.Fatalf("in its network the test ended with %d: %v", code, err)
	}
	return false
}

// newGuest boots agent-a's machine.
func newGuest(t *testing.T) *guest {
	t.Helper()
	const address = "10.20.0.7"
	d := newDirectorOn(t, "0.0.0.0", "agent-a")
	d.url = strings.NewReplacer("0.0.0.0", "10.20.0.1", "127.0.0.1", "10.20.0.1").Replace(d.url)
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	h, err := namespace.New(ctx, namespace.Options{Size: func(string) int64 { return 256 << 20 }, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	g := &guest{director: d}
	settings := map[string]any{
		"agent_id": "agent-a", "vm": map[string]string{"name": "vm"}, "mbus": strings.Replace(d.url, "://", "://agent-a:pw@", 1),
		"networks":  map[string]any{"a": map[string]any{"type": "manual", "ip": "10.0.0.9", "default": []string{"gateway"}}},
		"blobstore": map[string]any{"provider": "local", "options": map[string]string{"blobstore_path": "/var/vcap/blobs"}},
		"disks":     map[string]any{"ephemeral": "/dev/sdb", "persistent": map[string]string{}},
		"registry":  map[string]string{"endpoint": ""}, "server": map[string]string{"name": "vm"},
	}
	data, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	g.Guest = devcloud.Guest{
		ID: "s", Name: "vm", Dir: filepath.Join(dir, "servers", "s"), Address: netip.MustParseAddr(address),
		Image: devcloud.Image{ID: "i", Path: monitStemcell(t)}, UserData: data, Disks: map[string]string{"/dev/sdb": folder(t, dir, "ephemeral")},
	}
	if g.machine, err = h.Boot(ctx, g.Guest); err != nil {
		t.Fatalf("%v\n%s", err, g.console())
	}
	t.Cleanup(func() {
		_ = g.machine.Stop(false)
		if t.Failed() {
			t.Logf("the console:\n%s", g.console())
		}
	})
	return g
}

func folder(t *testing.T, dir, id string) string {
	t.Helper()
	path := filepath.Join(dir, "volumes", id)
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// monitStemcell is a root with the agent, which is started to run monit.
func monitStemcell(t *testing.T) string {
	t.Helper()
	agent, err := os.ReadFile(filepath.Join(lab.Programs(t), "microbosh-agent"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "root.img")
	if err := os.WriteFile(path, archive(t, map[string]string{
		"var/vcap/bosh/bin/bosh-agent":      "#!/bin/sh\nexec /var/vcap/bosh/bin/microbosh-agent \"$@\" -M monit\n",
		"var/vcap/bosh/bin/microbosh-agent": string(agent),
	}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (g *guest) console() string {
	text, _ := os.ReadFile(filepath.Join(g.Dir, devcloud.Console))
	return string(text)
}

// in runs a command in the machine.
func (g *guest) in(command string) string {
	g.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/root/etc/hostname")
	if err != nil {
		g.Fatal(err)
	}
	for _, path := range names {
		if name, err := os.ReadFile(path); err == nil && string(name) == "agent-a\n" {
			out, err := exec.Command("nsenter", "-a", "-t", strings.Split(path, "/")[2], "sh", "-c", command).CombinedOutput()
			if err != nil {
				g.Fatalf("%s: %v: %s", command, err, out)
			}
			return strings.TrimSpace(string(out))
		}
	}
	g.Fatalf("the machine is not found\n%s", g.console())
	return ""
}

func (g *guest) is(command, want string) {
	g.Helper()
	if got := g.in(command); got != want {
		g.Errorf("%s: got\n%s\nwant\n%s", command, got, want)
	}
}

// must checks a value, of which want is a part.
func (g *guest) must(want, method string, args ...any) json.RawMessage {
	g.Helper()
	r := g.ask("agent-a", method, args...)
	if r.Exception != nil || !strings.Contains(string(r.Value), want) {
		g.Fatalf("%s: got %s %+v, want %s", method, r.Value, r.Exception, want)
	}
	return r.Value
}

// blob uploads an archive to the agent's own store, as a Director does.
func (g *guest) blob(id string, files map[string]string) map[string]string {
	g.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	if _, err := zip.Write(archive(g.T, files)); err != nil {
		g.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		g.Fatal(err)
	}
	digest := fmt.Sprintf("%x", sha1.Sum(out.Bytes()))
	g.must(id, "upload_blob", map[string]any{"blob_id": id, "checksum": digest, "payload": base64.StdEncoding.EncodeToString(out.Bytes())})
	return map[string]string{"blobstore_id": id, "sha1": digest, "version": "1"}
}

// job waits until the health monitor hears that the job is so.
func (g *guest) job(state string) {
	g.Helper()
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); {
		var b messages.Heartbeat
		if err := json.Unmarshal(g.hear("hm.agent.heartbeat.agent-a"), &b); err != nil {
			g.Fatal(err)
		}
		if b.JobState == state {
			return
		}
	}
	g.Fatalf("no heartbeat says %q", state)
}

const webMonit = `check process web
  with pidfile /var/vcap/sys/run/web/web.pid
  start program "/var/vcap/jobs/web/bin/ctl start" with timeout 20 seconds
  stop program "/var/vcap/jobs/web/bin/ctl stop"
  group vcap
`

const webCtl = `#!/bin/sh
run=/var/vcap/sys/run/web
case $1 in
start) mkdir -p $run; /var/vcap/packages/greeting/bin/serve & echo $! > $run/web.pid ;;
stop) kill $(cat $run/web.pid); rm -f $run/web.pid ;;
esac
`

// A Director and a health monitor drive an agent with real monit on a real
// machine: every method, with its effect, under exactly their permissions.
func TestDirectorAndRealMonit(t *testing.T) {
	if !inNetwork(t, "monit") {
		return
	}
	g := newGuest(t)
	g.hear("hm.agent.heartbeat.agent-a")
	packaged := g.blob("greeting", map[string]string{"bin/serve": "#!/bin/sh\nexec sleep 86400\n"})
	packaged["name"] = "greeting"
	rendered := g.blob("rendered", map[string]string{
		"web/monit": webMonit, "web/bin/ctl": webCtl, "web/bin/pre-start": "#!/bin/sh\necho begun > /var/vcap/data/pre-start\n",
		"web/bin/drain": "#!/bin/sh\necho $1 > /var/vcap/data/drained\necho 0\n", "web/bin/run": "#!/bin/sh\necho errand; exit 3\n",
	})
	spec := map[string]any{
		"deployment": "d", "name": "web", "id": "i-1", "index": 0, "configuration_hash": "h-1", "packages": map[string]any{"greeting": packaged},
		"job":                        map[string]any{"name": "web", "templates": []any{map[string]string{"name": "web", "version": "1"}}},
		"networks":                   map[string]any{"a": map[string]string{"type": "manual", "ip": "10.0.0.9"}},
		"rendered_templates_archive": map[string]string{"blobstore_id": rendered["blobstore_id"], "sha1": rendered["sha1"]},
	}
	g.must(`"prepared"`, "prepare", spec)
	g.must(`"applied"`, "apply", spec)
	g.must(`{}`, "run_script", "pre-start", map[string]any{})
	g.must(`"started"`, "start")
	g.job("running")
	g.is("cat /var/vcap/data/pre-start; pgrep -c -x monit; kill -0 $(cat /var/vcap/sys/run/web/web.pid) && echo lives", "begun\n1\nlives")
	g.must(`"name":"web","state":"running"`, "get_state", "full")

	// monit finds the dead process, starts it anew and says so by mail.
	old := g.in("cat /var/vcap/sys/run/web/web.pid")
	g.in("kill -9 " + old)
	for limit := time.Now().Add(time.Minute); ; {
		var a messages.Alert
		if err := json.Unmarshal(g.hear("hm.agent.alert.agent-a"), &a); err != nil {
			t.Fatal(err)
		}
		if a.Severity == 1 && strings.HasPrefix(a.Title, "web (10.0.0.9) - ") {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("got %+v", a)
		}
	}
	g.must(`"exit_code":3`, "run_errand", "web")
	g.must(`0`, "drain", "update", spec)
	g.is("cat /var/vcap/data/drained", "job_unchanged")
	g.must(`"stopped"`, "stop")
	g.job("stopped")
	g.is("ls /var/vcap/sys/run/web/web.pid 2>/dev/null | wc -l; pgrep -c -x sleep || true", "0\n0")

	// Two disks come while it runs, and the second takes the place of the first.
	for i, cid := range []string{"vol-1", "vol-2"} {
		device := fmt.Sprintf("/dev/sd%c", 'c'+i)
		if err := g.machine.Attach(device, folder(t, filepath.Dir(filepath.Dir(g.Dir)), cid)); err != nil {
			t.Fatal(err)
		}
		g.must(`{}`, "add_persistent_disk", cid, map[string]string{"path": device})
		g.must(`{}`, "mount_disk", cid)
		if i == 0 {
			g.in("echo kept > /var/vcap/store/file")
		}
	}
	g.must(`["vol-1","vol-2"]`, "list_disk")
	g.must(`{}`, "migrate_disk")
	g.must(`["vol-2"]`, "list_disk")
	g.is("cat /var/vcap/store/file; findmnt -n -o FSTYPE /var/vcap/store", "kept\next4")
	g.must(`Unmounted /dev/sdd`, "unmount_disk", "vol-2")
	g.must(`{}`, "remove_persistent_disk", "vol-1")

	// A disk that is full leaves the jobs as they are; with room they change.
	g.in("head -c 1G /dev/zero > /var/vcap/data/full 2>/dev/null || true")
	next := maps.Clone(spec)
	next["configuration_hash"], next["job"] = "h-full", map[string]any{"name": "web", "templates": []any{map[string]string{"name": "web", "version": "2"}}}
	if r := g.ask("agent-a", "apply", next); r.Exception == nil || !strings.Contains(r.Exception.Message, "no space left on device") {
		t.Errorf("apply on a full disk: got %s %+v", r.Value, r.Exception)
	}
	if r := g.ask("agent-a", "upload_blob", map[string]any{"blob_id": "x", "checksum": rendered["sha1"], "payload": "eA=="}); r.Exception == nil || !strings.Contains(r.Exception.Message, "no space left on device") {
		t.Errorf("upload_blob on a full disk: got %s %+v", r.Value, r.Exception)
	}
	g.must(`"configuration_hash":"h-1"`, "get_state")
	g.is("readlink -f /var/vcap/jobs/web | grep -c /web/1/; ls /var/vcap/data/jobs/web", "1\n1")
	g.in("rm /var/vcap/data/full")
	g.must(`"applied"`, "apply", next)
	g.is("readlink -f /var/vcap/jobs/web | grep -c /web/2/", "1")

	// What it does to the machine.
	g.must(`"success"`, "ssh", "setup", map[string]string{"user": "bosh_a", "public_key": "ssh-rsa A"})
	g.is("cat ~bosh_a/.ssh/authorized_keys", "ssh-rsa A")
	g.must(`"success"`, "ssh", "cleanup", map[string]string{"user_regex": "^bosh_a"})
	g.is("getent passwd bosh_a | wc -l", "0")
	compiled := g.blob("source", map[string]string{"packaging": "set -e\nmkdir -p $BOSH_INSTALL_TARGET\necho $BOSH_PACKAGE_NAME > $BOSH_INSTALL_TARGET/name\n"})
	g.must(`"sha1"`, "compile_package", compiled["blobstore_id"], compiled["sha1"], "made", "1", map[string]any{})
	g.is("ls /var/vcap/data/packages | grep -c made || true", "0")
	g.must(`"logs_tar_path"`, "bundle_logs", map[string]string{"log_type": "job"})
	g.must(`"blobstore_id"`, "fetch_logs", "job", []string{})

	// Every method there is, also where it has to refuse.
	g.must(`"applied"`, "apply", map[string]any{"deployment": "d", "job": "", "configuration_hash": "h-2"})
	g.everyMethod()
	g.noViolations()
	g.must(`""`, "shutdown")
}
