package crash_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

var (
	histories = flag.Int("crash.histories", 2, "random histories to live through")

	all   = flag.Bool("crash.all", false, "try every point")
	seed  = flag.Uint64("crash.seed", 0, "seed of the share of points (0 = a new one)")
	limit = flag.Duration("crash.time", 30*time.Second, "how long to try points of a share")
)

// phases of a deployment's life, each from the state that the one before left.
const (
	phaseCreate = "create"
	phaseUpdate = "update"
	phaseStop   = "stop"
	phaseStart  = "start"
	phaseDelete = "delete"
	phaseCancel = "cancel"
)

var phases = []string{phaseCreate, phaseUpdate, phaseStop, phaseStart, phaseDelete, phaseCancel}

var targets = []string{"orchestrator", "cpi", "registry", "agent", "bus"}

// point is a place to kill at: before or right after a target's n-th message of
// a phase.
type point struct {
	phase, target string
	n             int
	after         bool
}

func (p point) String() string {
	when := "before"
	if p.after {
		when = "after"
	}
	return fmt.Sprintf("%s of %s %s message %d", p.phase, p.target, when, p.n)
}

// world is one lab whose deployment goes through its life again and again.
type world struct {
	*lab.Lab
	t       *testing.T
	ops     *bus.Conn
	longest time.Duration
	kills   int
	size    int
}

func newWorld(t *testing.T) *world {
	l := lab.New(t, lab.Options{Proxies: true})
	l.BuildStemcell()
	return &world{Lab: l, t: t, ops: l.Connect(messages.RoleOps), size: 1024}
}

// TestMain hands the number of histories to rapid, whose own default is meant
// for tests that take microseconds.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("rapid.checks", strconv.Itoa(*histories)); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestCrashMatrix(t *testing.T) {
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("repeat with -crash.seed=%d", s)
	w := newWorld(t)
	if *all {
		w.everything()
	} else {
		w.share(rand.New(rand.NewPCG(s, 0)))
	}
	t.Logf("%d kills, longest recovery %v", w.kills, w.longest.Round(time.Millisecond))
}

// everything goes through the points in order; a target's last one is past when
// a phase ends without a kill.
func (w *world) everything() {
	for _, target := range targets {
		for _, after := range []bool{false, true} {
			for n := 1; ; n++ {
				killed := false
				for _, phase := range phases {
					killed = w.try(point{phase, target, n, after}) || killed
				}
				if !killed {
					break
				}
			}
		}
	}
}

// share tries random points until the time is over.
func (w *world) share(r *rand.Rand) {
	deadline := time.Now().Add(*limit)
	for time.Now().Before(deadline) {
		for _, phase := range phases {
			w.try(point{phase, targets[r.IntN(len(targets))], 1 + r.IntN(40), r.IntN(2) == 0})
		}
	}
}

// try runs a phase, kills at the point, and checks. It tells whether the point
// was reached.
func (w *world) try(p point) bool {
	w.t.Helper()
	var once sync.Once
	var killed time.Time
	var mu sync.Mutex
	restarted := make(chan struct{})
	kill := func() {
		once.Do(func() {
			mu.Lock()
			killed = time.Now()
			mu.Unlock()
			w.kill(p.target)
			go func() {
				defer close(restarted)
				w.restart(p.target)
			}()
		})
	}
	disarm := w.arm(p, kill)
	w.run(p)
	disarm()
	mu.Lock()
	at := killed
	mu.Unlock()
	if at.IsZero() {
		w.check(p)
		return false
	}
	<-restarted
	w.kills++
	w.longest = max(w.longest, time.Since(at))
	w.check(p)
	return true
}

// arm counts the target's messages. An agent and the bus have no proxy of their
// own: they are killed at the orchestrator's messages.
func (w *world) arm(p point, kill func()) (disarm func()) {
	name := map[string]string{"orchestrator": "orchestrator0", "cpi": "cpi0", "registry": "registry", "agent": "orchestrator0", "bus": "orchestrator0"}[p.target]
	proxy := w.Proxies[name]
	var mu sync.Mutex
	n := 0
	proxy.Hook(func(m bustest.Message) bustest.Action {
		if !m.FromClient || strings.HasPrefix(m.Subject, "$JS.API.CONSUMER.MSG.NEXT") {
			return bustest.Pass
		}
		mu.Lock()
		n++
		hit := n == p.n
		mu.Unlock()
		if !hit {
			return bustest.Pass
		}
		if p.after {
			// The message is on its way when the process ends.
			time.AfterFunc(0, kill)
			return bustest.CutAfter
		}
		kill()
		return bustest.Cut
	})
	return func() { proxy.Hook(nil) }
}

func (w *world) kill(target string) {
	switch target {
	case "orchestrator":
		w.Orchestrators[0].Kill()
	case "cpi":
		w.CPIs[0].Kill()
	case "registry":
		w.Registry.Kill()
	case "bus":
		w.Bus.Kill()
	case "agent":
		for _, pid := range w.agents() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // devcloud's keeper starts it again
		}
	}
}

func (w *world) restart(target string) {
	switch target {
	case "orchestrator":
		w.Orchestrators[0].Restart()
	case "cpi":
		w.CPIs[0].Restart()
	case "registry":
		w.Registry.Restart()
	case "bus":
		w.Bus.Restart()
	}
}

// agents are the agents of this lab's servers, found by where their program is.
func (w *world) agents() []int {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		w.t.Fatal(err)
	}
	var out []int
	for _, link := range links {
		exe, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(exe, w.State()) || !strings.HasSuffix(exe, "bosh/bin/bosh-agent") {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// run is one phase, which must end well whatever was killed.
func (w *world) run(p point) {
	w.t.Helper()
	var args []string
	switch p.phase {
	case phaseCreate:
		w.WriteManifest(w.size, "")
		args = []string{"deploy", w.Stemcell, "-n"}
	case phaseUpdate:
		w.size = 3072 - w.size // 1024, 2048, 1024 ...
		w.WriteManifest(w.size, fmt.Sprint(p.n))
		args = []string{"deploy", w.Stemcell, "-n", "--update"}
	case phaseStop, phaseStart:
		args = []string{p.phase, "-n"}
	case phaseDelete:
		args = []string{"delete", "-n"}
	case phaseCancel:
		w.cancel(p)
		return
	}
	if out, code := w.CLI(args...); code != 0 {
		w.t.Fatalf("%s: %v ended with %d:\n%s", p, args, code, out)
	}
}

// cancel begins a create, cancels it in the middle, and deletes what there is.
func (w *world) cancel(p point) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer stop()
	from, err := w.ops.Last(ctx, messages.StreamJournal, messages.JournalFilter(w.Name))
	if err != nil {
		w.t.Fatal(err)
	}
	feed, err := w.ops.Follow(ctx, messages.StreamJournal, []string{messages.JournalSubject(w.Name, messages.FactStepIntended)}, bus.Start{Sequence: from.Seq + 1})
	if err != nil {
		w.t.Fatal(err)
	}
	defer feed.Stop()
	deploy := w.Command(ctx, "deploy", w.Stemcell, "-n")
	if err := deploy.Start(); err != nil {
		w.t.Fatal(err)
	}
	if _, err := feed.Next(ctx); err != nil {
		w.t.Fatalf("%s: the deploy does not begin: %v", p, err)
	}
	out, code := w.CLI("cancel", "-n")
	_ = deploy.Wait() // cancelled, or finished before that: both are right
	if code != 0 && !strings.Contains(out, "is open") {
		w.t.Fatalf("%s: cancel ended with %d:\n%s", p, code, out)
	}
	if out, code := w.CLI("delete", "-n"); code != 0 && !strings.Contains(out, "No existing instance to delete") {
		w.t.Fatalf("%s: the delete after a cancel ended with %d:\n%s", p, code, out)
	}
}

// check is what must hold after a phase: the cloud is what the journal says,
// nothing is there twice, and no message is stuck.
func (w *world) check(p point) {
	w.t.Helper()
	inv := w.Inventory()
	want := 1
	if p.phase == phaseDelete || p.phase == phaseCancel {
		want = 0
	}
	for kind, items := range map[string][]lab.Item{"server": inv.Servers, "volume": inv.Volumes, "image": inv.Images, "port": inv.Ports} {
		if len(items) != want {
			w.t.Fatalf("after %s there are %d of kind %s, want %d: %+v", p, len(items), kind, want, items)
		}
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	if want == 1 {
		w.matches(p, inv)
	}
	for _, stream := range []string{messages.StreamCommand, messages.StreamStep} {
		left, err := w.ops.Read(ctx, stream, ">", 0)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(left) > 0 && !w.drains(ctx, stream) {
			w.t.Fatalf("after %s %d messages are stuck in %s, the first on %s", p, len(left), stream, left[0].Subject)
		}
	}
}

// drains waits for the acknowledgement of what was worked off already.
func (w *world) drains(ctx context.Context, stream string) bool {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		left, err := w.ops.Read(ctx, stream, ">", 0)
		if err == nil && len(left) == 0 {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

// matches compares the journal's fold with the cloud.
func (w *world) matches(p point, inv lab.Inventory) {
	w.t.Helper()
	out, code := w.CLI("status", "--json")
	if code != 0 {
		w.t.Fatalf("after %s status ended with %d:\n%s", p, code, out)
	}
	for kind, cid := range map[string]string{"VM": inv.Servers[0].ID, "disk": inv.Volumes[0].ID, "stemcell": inv.Images[0].ID} {
		if !strings.Contains(out, cid) {
			w.t.Fatalf("after %s the journal does not know the %s %s:\n%s", p, kind, cid, out)
		}
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(strings.TrimSpace(out)), &object); err != nil {
		w.t.Fatalf("status --json is no object: %v\n%s", err, out)
	}
}
