package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
	"github.com/microbosh/microbosh/test/lab"
)

// bulk is what makes a stemcell one of several parts on the bus.
const bulk = messages.ObjectPart + 1<<20

// bulky builds a stemcell that does not fit into one part, and tells of how many
// it is.
func bulky(t *testing.T, l *lab.Lab) (parts int) {
	t.Helper()
	filling := filepath.Join(t.TempDir(), "filling")
	f, err := os.Create(filling)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{1}), bulk); err != nil {
		t.Fatal(err)
	}
	bin := lab.Programs(t)
	programs := []string{filling}
	for _, name := range []string{"microbosh", "microbosh-registry", "microbosh-cpi-openstack"} {
		programs = append(programs, filepath.Join(bin, name))
	}
	err = stemcell.BuildDev(stemcell.DevOptions{Output: l.Stemcell, Version: "1", Agent: filepath.Join(bin, "microbosh-agent"), Programs: programs})
	if err != nil {
		t.Fatal(err)
	}
	sc, err := stemcell.Open(l.Stemcell)
	if err != nil {
		t.Fatal(err)
	}
	return int((sc.ImageSize + messages.ObjectPart - 1) / messages.ObjectPart)
}

// carried makes sure of what is on the bus of stemcells: that many parts, or
// nothing at all.
func carried(t *testing.T, conn *bus.Conn, parts int) {
	t.Helper()
	described, err := conn.Read(t.Context(), messages.StreamStemcell, messages.ObjectInfoSubject(messages.BucketStemcell, "*"), 0)
	if err != nil {
		t.Fatal(err)
	}
	last, err := conn.Last(t.Context(), messages.StreamStemcell, "$O.>")
	if err != nil && !errors.Is(err, bus.ErrNone) {
		t.Fatal(err)
	}
	if len(described) != parts || parts == 0 && err == nil {
		t.Errorf("the bus holds %d parts, want %d; the last message is on %q", len(described), parts, last.Subject)
	}
}

// A whole life from a host whose files the CPI cannot read. The CPI is killed
// while it reads the stemcell off the bus; neither it nor the command ever has
// much of it in memory.
func TestStemcellFromAnotherHost(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Elsewhere: true, Settle: 5 * time.Second})
	parts := bulky(t, l)
	ops := l.Connect(messages.RoleOps)
	conn := l.Connect(messages.RoleAdmin)
	l.Faults(lab.Fault{Mode: "delay", Method: "PUT", Path: "/file$", DelayMS: 5000, Count: 1})
	end := start(t, l)
	intent(l, ops, messages.MethodCreateStemcell)
	uploading(t, l, ops)
	l.CPIs[0].Kill()
	carried(t, conn, parts)
	l.CPIs[0].Restart()
	out, code := end()
	if code != 0 || !strings.Contains(out, "putting the stemcell on the bus") {
		t.Fatalf("deploy ended with %d:\n%s", code, out)
	}
	whole(t, l)
	carried(t, conn, 0)
	if peak := peakOf(t, l.CPIs[0]); peak > 64<<20 {
		t.Errorf("the CPI had %d MiB in memory", peak>>20)
	}
	if out, code := l.CLI("deploy", l.Stemcell, "-n", "--update"); code != 0 || strings.Contains(out, "on the bus") {
		t.Errorf("a stemcell that the deployment has was put again (%d):\n%s", code, out)
	}
	remove(t, l)
	carried(t, conn, 0)
}

// A command that is killed while it puts the stemcell on the bus goes on with
// the part it was at; nothing of either try stays.
func TestCommandKilledWhileItPuts(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Elsewhere: true})
	bulky(t, l)
	conn := l.Connect(messages.RoleAdmin)
	proxy := bustest.NewProxy(t, l.BusURL())
	chunks := messages.ObjectSubject(messages.BucketStemcell, "")
	reached := make(chan struct{})
	proxy.Hook(func(m bustest.Message) bustest.Action {
		if m.FromClient && m.N == 2 && strings.HasPrefix(m.Subject, chunks) && strings.Contains(m.Subject, ".1.") {
			close(reached)
			return bustest.Drop
		}
		return bustest.Pass
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := l.Command(ctx, "deploy", l.Stemcell, "-n")
	cmd.Env = append(cmd.Env, "MICROBOSH_BUS="+proxy.URL())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-reached:
	case <-ctx.Done():
		t.Fatal("the command does not come to the second part")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	carried(t, conn, 1)
	var again atomic.Bool
	proxy.Hook(func(m bustest.Message) bustest.Action {
		if m.FromClient && strings.HasPrefix(m.Subject, chunks) && strings.Contains(m.Subject, ".0.") {
			again.Store(true)
		}
		return bustest.Pass
	})
	cmd = l.Command(ctx, "deploy", l.Stemcell, "-n")
	cmd.Env = append(cmd.Env, "MICROBOSH_BUS="+proxy.URL())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the same command again: %v\n%s", err, out)
	}
	if again.Load() {
		t.Error("a part that was there was put again")
	}
	carried(t, conn, 0)
	whole(t, l)
	remove(t, l)
}

// uploading waits until the CPI sends a stemcell to the cloud.
func uploading(t *testing.T, l *lab.Lab, conn *bus.Conn) {
	t.Helper()
	heard(t, conn, messages.StreamEvent, messages.EventFilter(l.Name), "the CPI uploads nothing", func(data []byte) bool {
		return bytes.Contains(data, []byte("uploading the stemcell"))
	})
}

// peakOf is the most memory that a process had, in bytes.
func peakOf(t *testing.T, p *lab.Process) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%s/status", p.PID()[1:]))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	t.Fatal("the kernel does not tell how much memory a process had")
	return 0
}
