package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

// crowd is any number of agents on one bus.
type crowd struct {
	testing.TB
	url  string
	conn *bus.Conn
}

func newCrowd(t testing.TB) *crowd {
	t.Helper()
	b := bustest.Start(t)
	return &crowd{t, b.URL(), b.Connect(t, "director")}
}

// start starts an agent with its own base folder.
func (c *crowd) start(id string) *exec.Cmd {
	c.Helper()
	base := filepath.Join(c.TempDir(), "var", "vcap")
	if err := os.MkdirAll(filepath.Join(base, "bosh"), 0o700); err != nil {
		c.Fatal(err)
	}
	settings := fmt.Sprintf(`{"agent_id":%q,"vm":{"name":"vm"},"mbus":%q,"networks":{},"blobstore":{"provider":"local","options":{"blobstore_path":"/var/vcap/blobs"}},"disks":{"persistent":{}}}`, id, c.url)
	if err := os.WriteFile(filepath.Join(base, "bosh", "settings.json"), []byte(settings), 0o600); err != nil {
		c.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(lab.Programs(c.TB), "microbosh-agent"), "-c", "-I", "dummy", "-P", "rootless", "-b", base)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func (c *crowd) listen(subject string, handle func(bus.Msg)) {
	c.Helper()
	stop, err := c.conn.Subscribe(c.Context(), subject, handle)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(stop)
}

func (c *crowd) ping(id string) {
	c.Helper()
	body, err := json.Marshal(messages.AgentRequest{Protocol: 3, Method: "ping", Arguments: []json.RawMessage{}, ReplyTo: messages.ReplySubject("bench", id, "1")})
	if err != nil {
		c.Fatal(err)
	}
	if err := c.conn.Publish(messages.AgentSubject(id), body); err != nil {
		c.Fatal(err)
	}
}

const long = 5 * time.Minute

// From spawn to the first word: the agent is pinged every millisecond, as nobody
// can know when it listens.
func TestAgentStart(t *testing.T) {
	need(t)
	c := newCrowd(t)
	const starts = 20
	var pongs, beats []time.Duration
	lost := 0
	for n := range starts {
		id := fmt.Sprint("a", n)
		pong, beat := make(chan time.Time, 1000), make(chan time.Time, 1000)
		c.listen(messages.ReplySubject("bench", id, "*"), func(bus.Msg) { pong <- time.Now() })
		c.listen(messages.HeartbeatSubject(id), func(bus.Msg) { beat <- time.Now() })
		began := time.Now()
		cmd := c.start(id)
		ask := time.NewTicker(time.Millisecond)
		for first := false; !first; {
			select {
			case <-ask.C:
				c.ping(id)
			case at := <-pong:
				pongs, first = append(pongs, at.Sub(began)), true
			case <-time.After(long):
				t.Fatal("the agent does not answer")
			}
		}
		ask.Stop()
		select {
		case at := <-beat:
			beats = append(beats, at.Sub(began))
		case <-time.After(5 * time.Second):
			lost++
		}
		_ = cmd.Process.Kill()
	}
	w := table()
	fmt.Fprintf(w, "spawn to first pong\t%s\tmedian of %d, worst %s\n", ms(median(pongs)), starts, ms(worst(pongs)))
	fmt.Fprintf(w, "spawn to first heartbeat\t%s\tworst %s, %d of %d lost\n", ms(median(beats)), ms(worst(beats)), lost, starts)
	_ = w.Flush()
}

func worst(d []time.Duration) (out time.Duration) {
	for _, each := range d {
		out = max(out, each)
	}
	return out
}

// What an agent costs that nobody asks: memory, processor, and room on a disk.
func TestAgentAtRest(t *testing.T) {
	need(t)
	c := newCrowd(t)
	up := make(chan struct{}, 10)
	c.listen(messages.HeartbeatSubject("a"), func(bus.Msg) { up <- struct{}{} })
	cmd := c.start("a")
	await(t, up, 1)
	before := ticks(t, cmd.Process.Pid)
	const idle = 30 * time.Second // a heartbeat is in it
	began := time.Now()
	await(t, up, 1)
	<-time.After(time.Until(began.Add(idle)))
	used := ticks(t, cmd.Process.Pid) - before
	stripped := filepath.Join(t.TempDir(), "agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", stripped, "github.com/microbosh/microbosh/services/agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	is, err := os.Stat(stripped)
	if err != nil {
		t.Fatal(err)
	}
	w := table()
	fmt.Fprintf(w, "memory (RSS)\t%s\n", rss(t, cmd.Process.Pid))
	fmt.Fprintf(w, "processor, idle\t%.2f s a minute\n", used.Seconds()*60/time.Since(began).Seconds())
	fmt.Fprintf(w, "stripped program\t%.1f MB\n", float64(is.Size())/1e6)
	_ = w.Flush()
}

func await(t testing.TB, up <-chan struct{}, n int) {
	t.Helper()
	for range n {
		select {
		case <-up:
		case <-time.After(long):
			t.Fatal("an agent does not come up")
		}
	}
}

// ticks is the processor time that a process has used.
func ticks(t testing.TB, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	const user, system, perSecond = 11, 12, 100
	sum := 0
	for _, i := range []int{user, system} {
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / perSecond
}

// One question to each of a thousand agents, or as many as three quarters of
// the free memory take.
func TestAgentCrowd(t *testing.T) {
	need(t)
	c := newCrowd(t)
	const most, each = 1000, 14 << 20
	n := min(most, int(freeMemory(t)*3/4/each))
	up := make(chan struct{}, 10*n)
	var answers atomic.Int64
	var mu sync.Mutex // guards all
	all := make(chan struct{})
	c.listen("hm.agent.heartbeat.*", func(bus.Msg) {
		select {
		case up <- struct{}{}:
		default:
		}
	})
	c.listen("director.bench.*.*", func(bus.Msg) {
		if answers.Add(1) == int64(n) {
			mu.Lock()
			close(all)
			mu.Unlock()
		}
	})
	began := time.Now()
	for i := range n {
		c.start(fmt.Sprint("a", i))
	}
	await(t, up, n)
	start := time.Since(began)
	var rounds []time.Duration
	for range 5 {
		mu.Lock()
		all = make(chan struct{})
		done := all
		mu.Unlock()
		answers.Store(0)
		began := time.Now()
		for i := range n {
			c.ping(fmt.Sprint("a", i))
		}
		select {
		case <-done:
		case <-time.After(long):
			t.Fatalf("%d of %d answer", answers.Load(), n)
		}
		rounds = append(rounds, time.Since(began))
	}
	w := table()
	fmt.Fprintf(w, "start of %d agents\t%s\t\n", n, ms(start))
	fmt.Fprintf(w, "a ping to each of %d agents, all answered\t%s\tmedian of %d\n", n, ms(median(rounds)), len(rounds))
	_ = w.Flush()
}

func freeMemory(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "MemAvailable:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
