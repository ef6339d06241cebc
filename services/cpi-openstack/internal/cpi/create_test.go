package cpi_test

import (
	"context"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

func lost() error {
	return messages.Errorf(messages.CodeCloudAmbiguous, "the answer was lost")
}

func TestCreateMakesOne(t *testing.T) {
	t.Parallel()
	type post = func(ctx context.Context, n int, effect func() string) (string, error)
	for _, tc := range []struct {
		name   string
		post   post
		status messages.ResultStatus
		code   messages.Code
		things int
		posts  int
		cid    string
	}{
		{"plain", nil, messages.ResultDone, "", 1, 1, "thing-1"},
		{"answer lost after the effect", func(_ context.Context, _ int, effect func() string) (string, error) {
			effect()
			return "", lost()
		}, messages.ResultDone, "", 1, 1, "thing-1"},
		{"lost before the effect", func(_ context.Context, n int, effect func() string) (string, error) {
			if n == 1 {
				return "", lost()
			}
			return effect(), nil
		}, messages.ResultDone, "", 1, 2, "thing-1"},
		{"two for one", func(_ context.Context, _ int, effect func() string) (string, error) {
			effect()
			return effect(), nil
		}, messages.ResultDone, "", 1, 1, "thing-1"},
		{"busy at first", func(_ context.Context, n int, effect func() string) (string, error) {
			if n < 3 {
				return "", messages.Errorf(messages.CodeCloudTransient, "too many requests")
			}
			return effect(), nil
		}, messages.ResultDone, "", 1, 3, "thing-1"},
		{"refused", func(context.Context, int, func() string) (string, error) {
			return "", messages.Errorf(messages.CodeCloudQuota, "no more")
		}, messages.ResultFailed, messages.CodeCloudQuota, 0, 1, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.toy.post = tc.post
			w.start(200*time.Millisecond, nil)
			w.send(messages.MethodCreateDisk, soon(), false)
			r := w.result(messages.MethodCreateDisk, final)
			if r.Status != tc.status || r.CID != tc.cid || messages.CodeOf(asError(r.Error)) != tc.code {
				t.Errorf("result is %+v (%v)", r, r.Error)
			}
			w.idle(messages.MethodCreateDisk)
			if things, posts := w.toy.counts(); things != tc.things || posts != tc.posts {
				t.Errorf("%d things after %d posts, want %d after %d", things, posts, tc.things, tc.posts)
			}
		})
	}
}

func asError(e *messages.Error) error {
	if e == nil {
		return nil
	}
	return e
}

// A CPI frozen between its ledger entry and its request for longer than the
// settle window posts late; whoever loses the ledger removes its own.
func TestTwoRaceAndOneRemains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	second := make(chan struct{})
	w.toy.post = func(ctx context.Context, n int, effect func() string) (string, error) {
		if n == 1 {
			select {
			case <-second:
			case <-ctx.Done():
				return "", ctx.Err()
			}
			return effect(), nil
		}
		cid := effect()
		close(second)
		return cid, nil
	}
	w.start(100*time.Millisecond, nil)
	w.start(100*time.Millisecond, nil)
	w.send(messages.MethodCreateDisk, soon(), false)
	w.send(messages.MethodCreateDisk, soon(), false)
	r := w.result(messages.MethodCreateDisk, final)
	w.idle(messages.MethodCreateDisk)
	things, posts := w.toy.counts()
	if posts != 2 || things != 1 {
		t.Fatalf("%d things after %d posts, want 1 after 2", things, posts)
	}
	if left := w.toy.list(w.step(messages.MethodCreateDisk)); r.Status != messages.ResultDone || left[0].CID != r.CID {
		t.Errorf("the result names %s (%s), the cloud holds %s", r.CID, r.Status, left[0].CID)
	}
}

func TestCancelledInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	posted := make(chan struct{})
	w.toy.post = func(ctx context.Context, n int, effect func() string) (string, error) {
		cid := effect()
		if n == 1 {
			close(posted)
			<-ctx.Done()
			return "", ctx.Err()
		}
		return cid, nil
	}
	stop := w.start(time.Hour, nil)
	w.send(messages.MethodCreateDisk, soon(), false)
	<-posted
	stop()
	w.start(time.Hour, nil)
	r := w.result(messages.MethodCreateDisk, final)
	if things, posts := w.toy.counts(); things != 1 || posts != 1 || r.CID != "thing-1" || r.Attempt != 1 {
		t.Errorf("%d things after %d posts, result %+v", things, posts, r)
	}
	w.idle(messages.MethodCreateDisk)
}

func TestUnsettledIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken := true
	w.toy.finish = func(context.Context, *cpi.Step, string) error {
		if broken {
			broken = false
			return messages.Errorf(messages.CodeCloudAuth, "no longer allowed")
		}
		return nil
	}
	w.start(100*time.Millisecond, nil)
	w.send(messages.MethodCreateDisk, soon(), false)
	r := w.result(messages.MethodCreateDisk, func(r messages.Result) bool { return r.Status == messages.ResultUnsettled || final(r) })
	if r.Status != messages.ResultUnsettled || r.Error.Code != messages.CodeCloudAuth {
		t.Fatalf("result is %+v, want unsettled", r)
	}
	w.send(messages.MethodCreateDisk, soon(), true)
	r = w.result(messages.MethodCreateDisk, final)
	if things, posts := w.toy.counts(); r.Status != messages.ResultDone || things != 1 || posts != 1 {
		t.Errorf("result is %+v after %d posts", r, posts)
	}
}

func TestDiscardedIsFinal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.toy.finish = func(ctx context.Context, s *cpi.Step, cid string) error {
		err := s.Discard(ctx, cid, func(context.Context, string) error {
			w.toy.mu.Lock()
			defer w.toy.mu.Unlock()
			delete(w.toy.things, cid)
			return nil
		})
		if err != nil {
			return err
		}
		return messages.Errorf(messages.CodeVMFailed, "it came to nothing")
	}
	w.start(time.Hour, nil)
	w.send(messages.MethodCreateDisk, soon(), false)
	if r := w.result(messages.MethodCreateDisk, final); r.Status != messages.ResultFailed || r.Error.Code != messages.CodeVMFailed {
		t.Errorf("result is %+v", r)
	}
}

func TestSettleNeverPosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(100*time.Millisecond, nil)
	w.send(messages.MethodCreateDisk, soon(), true)
	r := w.result(messages.MethodCreateDisk, final)
	if things, posts := w.toy.counts(); r.Status != messages.ResultFailed || things+posts != 0 {
		t.Errorf("result is %+v after %d posts", r, posts)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	t.Run("passed before anything was tried", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.start(time.Hour, nil)
		w.send(messages.MethodCreateDisk, time.Now().Add(-time.Second), false)
		r := w.result(messages.MethodCreateDisk, final)
		if _, posts := w.toy.counts(); r.Status != messages.ResultFailed || r.Error.Code != messages.CodeDeadline || posts != 0 {
			t.Errorf("result is %+v after %d posts", r, posts)
		}
	})
	t.Run("passes within the settle window", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.toy.post = func(context.Context, int, func() string) (string, error) { return "", lost() }
		w.start(time.Hour, nil)
		w.send(messages.MethodCreateDisk, time.Now().Add(shortly), false)
		r := w.result(messages.MethodCreateDisk, func(r messages.Result) bool { return r.Status != messages.ResultPosting })
		if r.Status != messages.ResultUnsettled || r.Deadline.Before(time.Now()) {
			t.Errorf("result is %+v, want unsettled with the end of the window", r)
		}
		w.idle(messages.MethodCreateDisk)
	})
}

// An answer that named a resource is never followed by a second request, even
// when listings fail and hide it for longer than the settle window.
func TestNoSecondRequestAfterAnAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.toy.look = func(n int, all []cpi.Found) ([]cpi.Found, error) {
		if n == 2 {
			return nil, messages.Errorf(messages.CodeCloudTransient, "busy")
		}
		return nil, nil
	}
	w.start(time.Millisecond, nil)
	w.send(messages.MethodCreateDisk, soon(), false)
	r := w.result(messages.MethodCreateDisk, final)
	if things, posts := w.toy.counts(); r.Status != messages.ResultDone || things != 1 || posts != 1 {
		t.Errorf("result is %+v, %d things after %d posts", r, things, posts)
	}
}
