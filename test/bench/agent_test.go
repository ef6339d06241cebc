package bench

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

// vm is one agent on a bus of its own.
type vm struct {
	testing.TB
	base    string
	conn    *bus.Conn
	cmd     *exec.Cmd
	answers chan messages.AgentReply
}

func newVM(t testing.TB) *vm {
	t.Helper()
	b := bustest.Start(t)
	v := &vm{TB: t, base: filepath.Join(t.TempDir(), "var", "vcap"), conn: b.Connect(t, "director"), answers: make(chan messages.AgentReply, 1)}
	if err := os.MkdirAll(filepath.Join(v.base, "bosh"), 0o700); err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf(`{"agent_id":"a","vm":{"name":"vm"},"mbus":%q,"networks":{},"blobstore":{"provider":"local","options":{"blobstore_path":"/var/vcap/blobs"}},"disks":{"persistent":{}}}`, b.URL())
	if err := os.WriteFile(filepath.Join(v.base, "bosh", "settings.json"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	up := make(chan struct{}, 100)
	v.listen("hm.agent.heartbeat.a", func(bus.Msg) {
		select {
		case up <- struct{}{}:
		default:
		}
	})
	v.listen("director.bench.a.*", func(m bus.Msg) {
		var r messages.AgentReply
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Error(err)
		}
		v.answers <- r
	})
	v.cmd = exec.Command(filepath.Join(lab.Programs(t), "microbosh-agent"), "-c", "-I", "dummy", "-P", "rootless", "-b", v.base)
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = v.cmd.Process.Kill()
		_ = v.cmd.Wait()
	})
	select {
	case <-up:
	case <-time.After(time.Minute):
		t.Fatal("the agent does not come up")
	}
	return v
}

func (v *vm) listen(subject string, handle func(bus.Msg)) {
	v.Helper()
	stop, err := v.conn.Subscribe(v.Context(), subject, handle)
	if err != nil {
		v.Fatal(err)
	}
	v.Cleanup(stop)
}

func (v *vm) once(method string, args ...any) messages.AgentReply {
	v.Helper()
	if args == nil {
		args = []any{}
	}
	body, err := json.Marshal(map[string]any{"protocol": 3, "method": method, "arguments": args, "reply_to": "director.bench.a.1"})
	if err != nil {
		v.Fatal(err)
	}
	if err := v.conn.Publish("agent.a", body); err != nil {
		v.Fatal(err)
	}
	select {
	case r := <-v.answers:
		return r
	case <-time.After(time.Minute):
		v.Fatalf("%s is not answered", method)
		return messages.AgentReply{}
	}
}

func (v *vm) run(method string, args ...any) messages.AgentReply {
	v.Helper()
	r := v.once(method, args...)
	if task, ok := messages.TaskRunning(r.Value); ok {
		r = v.once("get_task", task.AgentTaskID, messages.TaskWait{Wait: "50s"})
	}
	if r.Exception != nil {
		v.Fatalf("%s: %s", method, r.Exception.Message)
	}
	return r
}

// blob stores an archive of files and gives its entry of a spec.
func (v *vm) blob(name string, files map[string][]byte) map[string]string {
	v.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for path, data := range files {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o755, Size: int64(len(data))}); err != nil {
			v.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			v.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		v.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		v.Fatal(err)
	}
	dir := filepath.Join(v.base, "blobs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		v.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), out.Bytes(), 0o600); err != nil {
		v.Fatal(err)
	}
	return map[string]string{"name": name, "version": "1", "sha1": fmt.Sprintf("%x", sha1.Sum(out.Bytes())), "blobstore_id": name}
}

// The agent: what a question costs, what apply costs beside tar, what tasks
// leave in memory.
func TestAgent(t *testing.T) {
	need(t)
	v := newVM(t)
	var pings []time.Duration
	for range 1000 {
		began := time.Now()
		v.run("ping")
		pings = append(pings, time.Since(began))
	}

	var jobs []any
	packages := map[string]any{}
	var archives []string
	for i := range 10 {
		name := fmt.Sprint("job", i)
		jobs = append(jobs, v.blob(name, map[string][]byte{"job.MF": []byte("name: x\ntemplates:\n  a: bin/a\n"), "templates/a": []byte("#!/bin/sh\n"), "monit": nil}))
		archives = append(archives, name)
	}
	for i := range 20 {
		name := fmt.Sprint("package", i)
		files := map[string][]byte{}
		for j := range 50 {
			files[fmt.Sprint("lib/", j)] = bytes.Repeat([]byte(fmt.Sprintf("%d %d content\n", i, j)), 2000)
		}
		packages[name] = v.blob(name, files)
		archives = append(archives, name)
	}
	var plain []time.Duration
	for i := range 3 {
		began := time.Now()
		for _, a := range archives {
			dir := filepath.Join(t.TempDir(), fmt.Sprint(i), a)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("tar", "xzf", filepath.Join(v.base, "blobs", a), "-C", dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		plain = append(plain, time.Since(began))
	}
	began := time.Now()
	v.run("apply", map[string]any{"deployment": "d", "configuration_hash": "x", "job": map[string]any{"name": "j", "templates": jobs}, "packages": packages})
	apply := time.Since(began)

	before := v.rss()
	for range 1000 {
		v.run("run_script", "none", map[string]any{})
	}
	after := v.rss()

	w := table()
	fmt.Fprintf(w, "ping through the bus\t%s\tmedian of %d\n", ms(median(pings)), len(pings))
	fmt.Fprintf(w, "apply of 10 jobs, 20 packages\t%s\t%.1f times tar x (%s)\n", ms(apply), float64(apply)/float64(median(plain)), ms(median(plain)))
	fmt.Fprintf(w, "RSS before and after 1,000 tasks\t%s\t%s\n", before, after)
	_ = w.Flush()
}

func (v *vm) rss() string {
	v.Helper()
	return rss(v, v.cmd.Process.Pid)
}

func rss(t testing.TB, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}
