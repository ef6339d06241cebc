package bench

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
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

// A real machine's boot, from the hypervisor's order to the first heartbeat on
// the bus, and what each step of bootstrap takes of it.
func TestAgentBoot(t *testing.T) {
	need(t)
	if !namespace.Entered() {
		if os.Geteuid() != 0 {
			t.Skip("needs root, to boot machines")
		}
		if _, err := exec.LookPath("sfdisk"); err != nil {
			t.Skip("needs sfdisk (make deps-root installs it)")
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("MICROBOSH_BIN", lab.Programs(t))
		if code, err := namespace.Enter([]string{self, "-test.run=^" + t.Name() + "$", "-bench.run"}); err != nil || code != 0 {
			t.Fatalf("in its network it ended with %d: %v", code, err)
		}
		return
	}
	bus, err := server.NewServer(&server.Options{Host: "0.0.0.0", Port: -1, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go bus.Start()
	t.Cleanup(bus.Shutdown)
	if !bus.ReadyForConnections(time.Minute) {
		t.Fatal("the bus does not start")
	}
	url := fmt.Sprintf("nats://10.20.0.1:%d", bus.Addr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port())
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	beats := make(chan *nats.Msg, 100)
	if _, err := conn.ChanSubscribe(messages.HeartbeatSubject("a"), beats); err != nil {
		t.Fatal(err)
	}
	h, err := namespace.New(t.Context(), namespace.Options{Size: func(string) int64 { return 1 << 30 }, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	image := agentImage(t)
	var fresh, again []time.Duration
	steps := map[string][]time.Duration{}
	var order []string
	for range 5 {
		g := bootGuest(t, image, url)
		for _, times := range []*[]time.Duration{&fresh, &again} {
			*times = append(*times, bootOnce(t, h, g, beats))
		}
		order = stepTimes(t, g, steps)
		if err := h.Remove(g); err != nil {
			t.Fatal(err)
		}
	}
	w := table()
	fmt.Fprintf(w, "boot to bus, a new machine\t%s\tmedian of %d\n", ms(median(fresh)), len(fresh))
	fmt.Fprintf(w, "boot to bus, again\t%s\t\n", ms(median(again)))
	for _, step := range order {
		fmt.Fprintf(w, "%s\t%s\t\n", step, ms(median(steps[step])))
	}
	_ = w.Flush()
}

func agentImage(t *testing.T) string {
	t.Helper()
	agent, err := os.ReadFile(filepath.Join(lab.Programs(t), "microbosh-agent"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: "var/vcap/bosh/bin/bosh-agent", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(agent))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(agent); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "root.img")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func bootGuest(t *testing.T, image, bus string) devcloud.Guest {
	t.Helper()
	dir := t.TempDir()
	disk := filepath.Join(dir, "volumes", "ephemeral")
	if err := os.MkdirAll(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf(`{"agent_id":"a","vm":{"name":"vm"},"mbus":%q,"ntp":["10.20.0.1"],"networks":{"a":{"type":"dynamic","default":["dns","gateway"],"dns":["10.20.0.1"]}},
"blobstore":{"provider":"local","options":{"blobstore_path":"/var/vcap/blobs"}},"disks":{"ephemeral":"/dev/sdb","persistent":{}},"env":{"bosh":{"password":"$6$salt$hash"}}}`, bus)
	return devcloud.Guest{
		ID: "s", Name: "vm", Dir: filepath.Join(dir, "servers", "s"), Address: netip.MustParseAddr("10.20.0.7"),
		Image: devcloud.Image{ID: "i", Path: image}, UserData: []byte(settings), Disks: map[string]string{"/dev/sdb": disk},
	}
}

// bootOnce boots, waits for the first heartbeat and shuts down.
func bootOnce(t *testing.T, h *namespace.Hypervisor, g devcloud.Guest, beats <-chan *nats.Msg) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	began := time.Now()
	machine, err := h.Boot(ctx, g)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-beats:
	case <-ctx.Done():
		t.Fatal("the machine does not come to the bus")
	}
	took := time.Since(began)
	if err := machine.Stop(true); err != nil {
		t.Fatal(err)
	}
	for len(beats) > 0 {
		<-beats
	}
	return took
}

// stepTimes reads the first boot's steps from the console.
func stepTimes(t *testing.T, g devcloud.Guest, into map[string][]time.Duration) (order []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.Dir, devcloud.Console))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		var l struct {
			Step string
			Dur  float64 // milliseconds
		}
		if json.Unmarshal([]byte(line), &l) != nil || l.Step == "" || seen[l.Step] {
			continue
		}
		seen[l.Step] = true
		order = append(order, l.Step)
		into[l.Step] = append(into[l.Step], time.Duration(l.Dur*float64(time.Millisecond)))
	}
	return order
}
