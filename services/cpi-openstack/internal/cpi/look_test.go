package cpi_test

import (
	"context"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

// Listings of a real cloud lag behind what it made.
func TestListingsThatLag(t *testing.T) {
	t.Parallel()
	hidden := func(n int, all []cpi.Found) ([]cpi.Found, error) {
		if n < 5 {
			return nil, nil
		}
		return all, nil
	}
	for name, tc := range map[string]struct {
		answer bool // of the request
		effect int  // how many it makes
	}{
		"a plain answer":      {true, 1},
		"an answer lost":      {false, 1},
		"two, an answer lost": {false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.toy.look = hidden
			w.toy.post = func(_ context.Context, _ int, effect func() string) (string, error) {
				var cid string
				for range tc.effect {
					cid = effect()
				}
				if !tc.answer {
					return "", lost()
				}
				return cid, nil
			}
			// Long enough for the listings above whatever the machine's load.
			w.start(10*time.Second, nil)
			w.send(messages.MethodCreateDisk, soon(), false)
			r := w.result(messages.MethodCreateDisk, final)
			w.idle(messages.MethodCreateDisk)
			if _, posts := w.toy.counts(); r.Status != messages.ResultDone || posts != 1 {
				t.Fatalf("result is %+v (%v) after %d posts", r, r.Error, posts)
			}
			left := w.toy.list(w.step(messages.MethodCreateDisk))
			if len(left) != 1 || left[0].CID != r.CID {
				t.Errorf("the result names %s, the cloud holds %v", r.CID, left)
			}
		})
	}
}

func TestNoCreateWithoutALook(t *testing.T) {
	t.Parallel()
	t.Run("the listing is refused", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.toy.look = func(int, []cpi.Found) ([]cpi.Found, error) {
			return nil, messages.Errorf(messages.CodeCloudAuth, "no role")
		}
		w.start(time.Millisecond, nil)
		w.send(messages.MethodCreateDisk, soon(), false)
		r := w.result(messages.MethodCreateDisk, final)
		if _, posts := w.toy.counts(); r.Error == nil || r.Error.Code != messages.CodeCloudAuth || posts != 0 {
			t.Errorf("result is %+v after %d posts", r, posts)
		}
	})
	t.Run("the listing fails for a time", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.toy.look = func(n int, all []cpi.Found) ([]cpi.Found, error) {
			if _, posts := w.toy.counts(); n < 3 && posts > 0 {
				t.Error("a create was sent though nobody could tell what is there")
			}
			if n < 3 {
				return nil, messages.Errorf(messages.CodeCloudTransient, "busy")
			}
			return all, nil
		}
		w.start(time.Millisecond, nil)
		w.send(messages.MethodCreateDisk, soon(), false)
		if r := w.result(messages.MethodCreateDisk, final); r.Status != messages.ResultDone {
			t.Errorf("result is %+v", r)
		}
	})
}

// A refusal says nothing about an earlier request that nobody answered.
func TestRefusalAfterALostAnswer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fenced  bool
		settle  time.Duration
		refusal messages.Code
		status  messages.ResultStatus
	}{
		"full":                                {false, time.Hour, messages.CodeCloudQuota, messages.ResultUnsettled},
		"full, and the cloud refuses doubles": {true, time.Hour, messages.CodeCloudQuota, messages.ResultUnsettled},
		"the name may be the lost one's":      {true, time.Hour, messages.CodeCloudConflict, messages.ResultUnsettled},
		"the name is burnt":                   {true, 200 * time.Millisecond, messages.CodeCloudConflict, messages.ResultFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.toy.fenced = tc.fenced
			w.toy.post = func(_ context.Context, n int, _ func() string) (string, error) {
				if n == 1 {
					return "", lost()
				}
				return "", messages.Errorf(tc.refusal, "no")
			}
			w.start(tc.settle, nil)
			w.send(messages.MethodCreateDisk, time.Now().Add(2*time.Second), false)
			r := w.result(messages.MethodCreateDisk, func(r messages.Result) bool { return r.Status != messages.ResultPosting })
			if r.Status != tc.status {
				t.Errorf("result is %+v (%v), want %s", r, r.Error, tc.status)
			}
			w.idle(messages.MethodCreateDisk)
		})
	}
}

// A cloud that refuses doubles may refuse one before it shows the first.
func TestRefusedAndStillHidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.toy.fenced = true
	w.toy.post = func(_ context.Context, n int, effect func() string) (string, error) {
		if n == 1 {
			effect()
			return "", lost()
		}
		return "", messages.Errorf(messages.CodeCloudConflict, "it exists")
	}
	w.toy.look = func(n int, all []cpi.Found) ([]cpi.Found, error) {
		if n < 4 {
			return nil, nil
		}
		return all, nil
	}
	w.start(time.Hour, nil)
	w.send(messages.MethodCreateDisk, soon(), false)
	r := w.result(messages.MethodCreateDisk, final)
	if things, _ := w.toy.counts(); r.Status != messages.ResultDone || r.CID != "thing-1" || things != 1 {
		t.Errorf("result is %+v (%v), %d things", r, r.Error, things)
	}
}

// Whether a cloud refuses doubles or not, "nothing is there" needs the whole
// window.
func TestSettleWaitsForTheWindow(t *testing.T) {
	t.Parallel()
	for name, fenced := range map[string]bool{"any cloud": false, "the cloud refuses doubles": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.toy.fenced = fenced
			var late func() string
			w.toy.post = func(ctx context.Context, _ int, effect func() string) (string, error) {
				late = effect
				<-ctx.Done()
				return "", ctx.Err()
			}
			stop := w.start(time.Hour, nil)
			w.send(messages.MethodCreateDisk, time.Now().Add(shortly), false)
			w.result(messages.MethodCreateDisk, func(r messages.Result) bool { return r.Status == messages.ResultUnsettled })
			w.idle(messages.MethodCreateDisk)
			stop()

			looked := make(chan struct{}, 100)
			w.toy.look = func(n int, all []cpi.Found) ([]cpi.Found, error) {
				select {
				case looked <- struct{}{}:
				default:
				}
				return all, nil
			}
			w.start(time.Hour, nil)
			w.send(messages.MethodCreateDisk, soon(), true)
			<-looked
			<-looked
			cid := late()
			r := w.result(messages.MethodCreateDisk, func(r messages.Result) bool {
				return r.Status != messages.ResultUnsettled
			})
			if r.Status != messages.ResultDone || r.CID != cid {
				t.Errorf("result is %+v (%v), want %s", r, r.Error, cid)
			}
		})
	}
}
