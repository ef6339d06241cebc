package stemcell_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
)

// patience is for machines that do much else beside.
const patience = 5 * time.Minute

// given opens the stemcell that is to be booted.
func given(t *testing.T, tools ...string) *stemcell.Stemcell {
	t.Helper()
	path := os.Getenv("MICROBOSH_STEMCELL")
	if path == "" {
		t.Skip("needs MICROBOSH_STEMCELL, a stemcell that boots (make test-stemcell builds one)")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (make deps-stemcell installs it)", tool)
		}
	}
	s, err := stemcell.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// disk takes the image out of the stemcell, and lets it grow as a flavor does.
func disk(t *testing.T, s *stemcell.Stemcell, dir string) string {
	t.Helper()
	image, err := s.Image(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	path := filepath.Join(dir, "root.img")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, image); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	format, _ := s.CloudProperties["disk_format"].(string)
	own := filepath.Join(dir, "disk.qcow2")
	run(t, "qemu-img", "create", "-q", "-f", "qcow2", "-b", path, "-F", format, own, "3G")
	return own
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// configDrive makes a drive as Nova does.
func configDrive(t *testing.T, dir string, settings []byte) string {
	t.Helper()
	latest := filepath.Join(dir, "drive", "ec2", "latest")
	if err := os.MkdirAll(latest, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"user-data": settings, "meta-data.json": []byte("{}")} {
		if err := os.WriteFile(filepath.Join(latest, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "drive.iso")
	run(t, "genisoimage", "-quiet", "-V", "config-2", "-J", "-R", "-o", path, filepath.Join(dir, "drive"))
	return path
}

// machine is a qemu and what its guest said on its console.
type machine struct {
	*testing.T
	cmd     *exec.Cmd
	console string
	began   time.Time
	ended   chan struct{}
}

func boot(t *testing.T, dir, disk, drive string) *machine {
	t.Helper()
	m := &machine{T: t, console: filepath.Join(dir, "console"), ended: make(chan struct{})}
	m.cmd = exec.CommandContext(t.Context(), "qemu-system-x86_64", "-accel", "tcg", "-m", "1024", "-display", "none", "-monitor", "none",
		"-serial", "file:"+m.console, "-drive", "file="+disk+",format=qcow2,if=virtio,cache=unsafe",
		"-drive", "file="+drive+",format=raw,if=ide,media=cdrom,readonly=on", "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net")
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	m.cmd.Stderr = os.Stderr
	m.began = time.Now()
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(m.ended)
		_ = m.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = m.cmd.Process.Kill()
		<-m.ended
	})
	return m
}

// used is the processor's time that the machine has had.
func (m *machine) used() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const user, system, tick = 11, 12, 10 * time.Millisecond
	var ticks int64
	for _, at := range []int{user, system} {
		n, err := strconv.ParseInt(f[at], 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * tick
}

func (m *machine) said() string {
	text, _ := os.ReadFile(m.console)
	return string(text[max(0, len(text)-4000):])
}

// A machine with a config drive, whose settings name a bus on the host, tells
// that it lives, and answers.
func TestFirstHeartbeatFromPowerOn(t *testing.T) {
	s := given(t, "qemu-system-x86_64", "qemu-img", "genisoimage")
	dir := t.TempDir()
	b := bustest.Start(t)
	conn := b.Connect(t, "test")
	const id = "bm-boot"
	beats := make(chan []byte, 16)
	stop, err := conn.Subscribe(t.Context(), messages.HeartbeatPrefix+id, func(m bus.Msg) { beats <- m.Data })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	settings, err := json.Marshal(map[string]any{
		"agent_id": id, "vm": map[string]any{"name": "vm-boot"}, "mbus": strings.Replace(b.URL(), "127.0.0.1", "10.0.2.2", 1),
		"ntp": []string{}, "blobstore": map[string]any{"provider": "local", "options": map[string]any{"blobstore_path": "/var/vcap/micro_bosh/data/cache"}},
		"networks": map[string]any{"net": map[string]any{"type": "dynamic", "default": []string{"dns", "gateway"}}},
		"disks":    map[string]any{"system": "/dev/sda", "persistent": map[string]any{}}, "env": map[string]any{},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := boot(t, dir, disk(t, s, dir), configDrive(t, dir, settings))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case data := <-beats:
		t.Logf("first heartbeat %.1f s after power-on, with %.1f s of the processor: %.200s", time.Since(m.began).Seconds(), m.used().Seconds(), data)
	case <-m.ended:
		t.Fatalf("the machine ended:\n%s", m.said())
	case <-ctx.Done():
		t.Fatalf("no heartbeat:\n%s", m.said())
	}
	var vitals struct {
		State  string `json:"job_state"`
		Vitals struct {
			Disk struct {
				System struct {
					Percent string `json:"percent"`
				} `json:"system"`
			} `json:"disk"`
		} `json:"vitals"`
	}
	answer := ask(t, conn, id, "get_state", "full")
	if err := json.Unmarshal(answer, &vitals); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	// 400 MB of 3 GB: the root has grown to its disk.
	if used, err := strconv.Atoi(vitals.Vitals.Disk.System.Percent); err != nil || used == 0 || used > 30 {
		t.Errorf("the root is filled to %q %%: it has not grown", vitals.Vitals.Disk.System.Percent)
	}
	t.Logf("state %s, root filled to %s %%", vitals.State, vitals.Vitals.Disk.System.Percent)
}

// ask sends one request and waits for its answer.
func ask(t *testing.T, conn *bus.Conn, id, method string, args ...any) json.RawMessage {
	t.Helper()
	if args == nil {
		args = []any{}
	}
	reply := "director.test." + id + ".1"
	answers := make(chan []byte, 1)
	stop, err := conn.Subscribe(t.Context(), reply, func(m bus.Msg) { answers <- m.Data })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	body, err := json.Marshal(map[string]any{"method": method, "arguments": args, "reply_to": reply})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(conn.Publish(messages.AgentSubject(id), body), conn.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case data := <-answers:
		var out struct {
			Value     json.RawMessage
			Exception json.RawMessage
		}
		if err := json.Unmarshal(data, &out); err != nil || out.Exception != nil {
			t.Fatalf("%s: %v: %s", method, err, data)
		}
		return out.Value
	case <-limit.C:
		t.Fatalf("%s: no answer", method)
		return nil
	}
}
