package cpi_test

import (
	"context"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

// A CPI that dies gives nothing back: its command comes again by itself.
func TestCutOffInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		effect, posts int
	}{
		"after the effect":  {1, 1},
		"before the effect": {0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			proxy := bustest.NewProxy(t, w.bus.URL())
			posted := make(chan struct{})
			w.toy.post = func(ctx context.Context, n int, effect func() string) (string, error) {
				if n > 1 {
					return effect(), nil
				}
				for range tc.effect {
					effect()
				}
				proxy.Down()
				close(posted)
				<-ctx.Done()
				return "", ctx.Err()
			}
			stop := w.startAt(proxy.URL(), time.Second, nil)
			w.send(messages.MethodCreateDisk, soon(), false)
			<-posted
			stop()
			w.start(time.Second, nil)
			r := w.result(messages.MethodCreateDisk, final)
			w.idle(messages.MethodCreateDisk)
			things, posts := w.toy.counts()
			if r.Status != messages.ResultDone || things != 1 || posts != tc.posts {
				t.Errorf("%d things after %d posts, result %+v", things, posts, r)
			}
		})
	}
}

// A CPI that is frozen before its request takes effect wakes up when another
// has ended the step: it takes back what it made and leaves the result alone.
func TestFrozenUntilItIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	proxy := bustest.NewProxy(t, w.bus.URL())
	frozen, thaw := make(chan struct{}), make(chan struct{})
	w.toy.post = func(ctx context.Context, n int, effect func() string) (string, error) {
		if n > 1 {
			return effect(), nil
		}
		proxy.Down()
		close(frozen)
		select {
		case <-thaw:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		return effect(), nil
	}
	w.startAt(proxy.URL(), 100*time.Millisecond, nil)
	w.send(messages.MethodCreateDisk, soon(), false)
	<-frozen
	w.start(100*time.Millisecond, nil)
	before, r := w.resultNth(messages.MethodCreateDisk, 1, final)
	w.idle(messages.MethodCreateDisk)

	proxy.Up()
	close(thaw)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := cpi.Await(ctx, 10*time.Millisecond, func(context.Context) (bool, error) {
		w.toy.mu.Lock()
		defer w.toy.mu.Unlock()
		return len(w.toy.order) == 2 && len(w.toy.things) == 1, nil
	})
	if err != nil {
		t.Fatalf("the late thing stays: %v", w.toy.list(w.step(messages.MethodCreateDisk)))
	}
	if left := w.toy.list(w.step(messages.MethodCreateDisk)); left[0].CID != r.CID {
		t.Errorf("the result names %s, the cloud holds %s", r.CID, left[0].CID)
	}
	if after, _ := w.resultNth(messages.MethodCreateDisk, 1, final); after.Seq != before.Seq {
		t.Error("the final result was written again")
	}
}

func TestManyCPIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.toy.post = func(_ context.Context, n int, effect func() string) (string, error) {
		cid := effect()
		switch n % 3 {
		case 0:
			return "", lost()
		case 1:
			return effect(), nil
		}
		return cid, nil
	}
	for range 3 {
		w.start(2*time.Second, nil)
	}
	const steps = 6
	for n := range steps {
		for range 3 {
			w.sendNth(messages.MethodCreateDisk, n+1, soon(), false)
		}
	}
	for n := range steps {
		_, r := w.resultNth(messages.MethodCreateDisk, n+1, final)
		if r.Status != messages.ResultDone {
			t.Errorf("step %d: result is %+v", n+1, r)
		}
	}
	w.idle(messages.MethodCreateDisk)
	for n := range steps {
		_, r := w.resultNth(messages.MethodCreateDisk, n+1, final)
		left := w.toy.list(messages.StepID(w.uid, messages.MethodCreateDisk, n+1))
		if len(left) != 1 || left[0].CID != r.CID {
			t.Errorf("step %d: the result names %s, the cloud holds %v", n+1, r.CID, left)
		}
	}
}

func TestBusRestartsInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	posted, back := make(chan struct{}), make(chan struct{})
	w.toy.post = func(_ context.Context, _ int, effect func() string) (string, error) {
		cid := effect()
		close(posted)
		<-back
		return cid, nil
	}
	w.start(time.Second, nil)
	w.send(messages.MethodCreateDisk, soon(), false)
	<-posted
	w.bus.Restart()
	close(back)
	r := w.result(messages.MethodCreateDisk, final)
	w.idle(messages.MethodCreateDisk)
	if things, posts := w.toy.counts(); things != 1 || posts != 1 || r.CID != "thing-1" {
		t.Errorf("%d things after %d posts, result %+v", things, posts, r)
	}
}

// A step that outlasts AckWait is held by the one that works on it, also when
// its deadline has passed and it is only looked at.
func TestLongStepIsHeld(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		method  string
		creates bool
		within  time.Duration // is its deadline
	}{
		"at work":       {messages.MethodDetachDisk, false, patience},
		"the last look": {messages.MethodCreateVM, true, -time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.grace = 5 * messages.AckWait
			runs := make(chan struct{}, 10)
			long := map[string]cpi.Method{tc.method: {Creates: tc.creates, Run: func(ctx context.Context, _ *cpi.Step) (any, error) {
				runs <- struct{}{}
				return nil, poll.Pause(ctx, 5*messages.AckWait/2)
			}}}
			w.start(time.Second, long)
			w.start(time.Second, long)
			w.send(tc.method, time.Now().Add(tc.within), false)
			if r := w.result(tc.method, final); r.Status != messages.ResultDone {
				t.Errorf("result is %+v (%v)", r, r.Error)
			}
			w.idle(tc.method)
			if len(runs) != 1 {
				t.Errorf("the step ran %d times", len(runs))
			}
		})
	}
}
