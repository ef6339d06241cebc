package crash_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

var (
	histories = flag.Int("crash.histories", 2, "random histories to live through")

	all    = flag.Bool("crash.all", false, "try every point")
	chosen = flag.String("crash.targets", "", "with -crash.all: kill these alone, separated by commas (\"\" = all)")
	worlds = flag.Int("crash.worlds", 4, "how many systems are tried side by side")
	seed   = flag.Uint64("crash.seed", 0, "seed of the share of points (0 = a new one)")
	limit  = flag.Duration("crash.time", 30*time.Second, "how long to try points of a share")
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

// callOfCPI is the CPI too, killed at its calls of the cloud.
const callOfCPI = "cpi's call"

var targets = []string{"orchestrator", "cpi", callOfCPI, "registry", "agent", "bus"}

// point is a place to kill at: before or right after a target's n-th message of
// a phase, or its n-th call of the cloud.
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
	t     *testing.T
	ops   *bus.Conn
	tally *tally
	size  int
}

// tally is what all worlds of a test have been through.
type tally struct {
	mu      sync.Mutex
	lives   int           // guarded by mu
	kills   int           // guarded by mu
	longest time.Duration // guarded by mu
}

func (c *tally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%d lives, %d kills, longest recovery %v", c.lives, c.kills, c.longest.Round(time.Millisecond))
}

func (c *tally) killed(recovery time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kills++
	c.longest = max(c.longest, recovery)
}

func (c *tally) lived() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lives++
}

// series are the points of one target, in order; they end with a life in which
// no phase has so many.
type series struct {
	target string
	after  bool

	mu    sync.Mutex
	next  int  // guarded by mu
	ended bool // guarded by mu
}

func (s *series) take() (n int, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return s.next, !s.ended
}

func (s *series) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

func newWorld(t *testing.T, sum *tally) *world {
	l := lab.New(t, lab.Options{Proxies: true})
	l.BuildStemcell()
	return &world{Lab: l, t: t, ops: l.Connect(messages.RoleOps), tally: sum, size: 1024}
}

// TestMain hands each world's share of the histories to rapid, whose own default
// is meant for tests that take microseconds.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("rapid.checks", strconv.Itoa((*histories+*worlds-1) / *worlds)); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestCrashMatrix(t *testing.T) {
	sum := &tally{}
	if *all {
		everything(t, sum)
	} else {
		s := *seed
		if s == 0 {
			s = rand.Uint64()
		}
		t.Logf("repeat with -crash.seed=%d", s)
		newWorld(t, sum).share(rand.New(rand.NewPCG(s, 0)))
	}
	t.Log(sum)
}

// everything goes through all points in order, in several worlds side by side:
// most of a recovery is waiting.
func everything(t *testing.T, sum *tally) {
	var order []*series
	for _, target := range targets {
		if *chosen != "" && !slices.Contains(strings.Split(*chosen, ","), target) {
			continue
		}
		order = append(order, &series{target: target}, &series{target: target, after: true})
	}
	t.Run("worlds", func(t *testing.T) {
		for i := range *worlds {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, sum)
				for _, s := range order {
					for n, more := s.take(); more; n, more = s.take() {
						if !w.life(s.target, n, s.after) {
							s.end()
						}
					}
					t.Logf("past %s (after: %t): %v", s.target, s.after, sum)
				}
			})
		}
	})
}

// life goes through every phase and kills in each at its n-th point; it tells
// whether any phase has so many.
func (w *world) life(target string, n int, after bool) bool {
	w.t.Helper()
	defer w.tally.lived()
	killed := false
	for _, phase := range phases {
		killed = w.try(point{phase, target, n, after}) || killed
	}
	return killed
}

// share tries random points until the time is over.
func (w *world) share(r *rand.Rand) {
	deadline := time.Now().Add(*limit)
	for ; time.Now().Before(deadline); w.tally.lived() {
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
	w.tally.killed(time.Since(at))
	w.check(p)
	return true
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
