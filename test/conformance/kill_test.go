package conformance_test

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	killAll  = flag.Bool("conformance.all", false, "end the CPI at every call, not at a share of them")
	killSeed = flag.Uint64("conformance.seed", 0, "seed of the share (0 = a new one)")
	killTime = flag.Duration("conformance.time", 20*time.Second, "how long to try a share on devcloud; six times that on the real OpenStack")
)

// TestExactlyOne ends the CPI before and after its calls. Each step must come
// to its end, with one of what it makes and nothing of what it removes.
func TestExactlyOne(t *testing.T) {
	eachTarget(t, func(t *testing.T, cloud target) {
		seed := *killSeed
		if seed == 0 {
			seed = rand.Uint64()
		}
		t.Logf("repeat with -conformance.seed=%d", seed)
		k := &killer{rig: newRig(t, cloud), random: rand.New(rand.NewPCG(seed, 0)), calls: map[string]int{}}
		defer func() { t.Logf("%d kills, at up to %v calls of a method", k.kills, k.calls) }()
		k.round(func(string) (int, bool) { return 0, false }) // counts
		if *killAll {
			most := 0
			for _, n := range k.calls {
				most = max(most, n)
			}
			for n := 1; n <= most; n++ {
				for _, after := range []bool{false, true} {
					k.round(func(string) (int, bool) { return n, after })
				}
			}
		} else {
			limit := *killTime
			if cloud.dev == nil {
				limit *= 6
			}
			for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
				k.share()
			}
		}
	})
}

// killer goes through lives in which the CPI dies.
type killer struct {
	*rig
	random *rand.Rand
	calls  map[string]int // of each method, when nothing dies
	kills  int
}

// share kills in each life at a few methods, so that a share of a minute meets
// every method.
func (k *killer) share() {
	k.round(func(method string) (int, bool) {
		if k.random.IntN(3) > 0 || k.calls[method] == 0 {
			return 0, false
		}
		return 1 + k.random.IntN(k.calls[method]), k.random.IntN(2) == 0
	})
}

// round is one life. The point tells at which of a method's calls to kill; 0 is
// not at all.
func (k *killer) round(point func(method string) (n int, after bool)) {
	k.t.Helper()
	k.uid = newUID()
	k.n = map[string]int{}
	l := k.newLife()
	for _, s := range lifeSteps() {
		n, after := point(s.method)
		died, over := make(chan struct{}), make(chan struct{})
		k.wire.arm(n, after, func() {
			k.cpi.Kill()
			close(died)
		})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			select {
			case <-died:
				k.cpi.Restart()
			case <-over:
			}
		}()
		l.live(s)
		calls, killed := k.wire.disarm()
		if !killed {
			close(over)
		}
		<-ended
		if killed {
			k.kills++
		} else if n == 0 {
			k.calls[s.method] = max(k.calls[s.method], calls)
		}
	}
	if k.t.Failed() {
		k.t.FailNow()
	}
}
