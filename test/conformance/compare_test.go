package conformance_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestDevcloudIsHonest has the CPI do the same on both clouds, and compares
// what it asked and was answered: the same calls with the same keys, the same
// statuses, errors of the same shape, and no key in an answer that the real
// cloud does not have.
func TestDevcloudIsHonest(t *testing.T) {
	if os.Getenv(real) == "" {
		t.Skip("there is no real OpenStack to compare with; make test-openstack brings one up")
	}
	record := func(cloud target) map[string]*habit {
		r := newRig(t, cloud)
		l := r.newLife()
		l.allocate()
		for _, s := range lifeSteps() {
			l.live(s)
			if see := sights[s.method]; see != nil && s.method == "create_vm" {
				see(l, l.do(s.method, l.vmStep, s.args(l, l.vmStep))) // the ledger answers
			}
		}
		other := r.newLife()
		other.n, other.uid = map[string]int{}, newUID()
		badInput(other)
		return habits(r.wire.recorded())
	}
	real := whole(t)
	real.Tight = "" // devcloud has one project
	dev, whole := record(small(t)), record(real)
	for at := range whole {
		if dev[at] == nil {
			t.Errorf("%s is asked of the real cloud only", at)
		}
	}
	for _, at := range slices.Sorted(maps.Keys(dev)) {
		if whole[at] == nil {
			t.Errorf("%s is asked of devcloud only", at)
			continue
		}
		dev[at].compare(t, at, whole[at])
	}
}

// habit is everything that happened at one method and path.
type habit struct {
	asked    map[string]bool
	statuses map[int]bool
	answers  map[int]map[string]bool
}

func habits(calls []call) map[string]*habit {
	out := map[string]*habit{}
	for _, c := range calls {
		at := c.Method + " " + c.Path
		if out[at] == nil {
			out[at] = &habit{map[string]bool{}, map[int]bool{}, map[int]map[string]bool{}}
		}
		h := out[at]
		h.statuses[c.Status] = true
		for _, k := range c.Body {
			h.asked[k] = true
		}
		if h.answers[c.Status] == nil {
			h.answers[c.Status] = map[string]bool{}
		}
		for _, k := range c.Shape {
			h.answers[c.Status][k] = true
		}
	}
	return out
}

func (h *habit) compare(t *testing.T, at string, whole *habit) {
	t.Helper()
	if !maps.Equal(h.asked, whole.asked) {
		t.Errorf("%s: devcloud is asked with %v, the real cloud with %v", at, list(h.asked), list(whole.asked))
	}
	if !maps.Equal(h.statuses, whole.statuses) {
		t.Errorf("%s: devcloud answers %v, the real cloud %v", at, slices.Sorted(maps.Keys(h.statuses)), slices.Sorted(maps.Keys(whole.statuses)))
	}
	for status, keys := range h.answers {
		real, same := whole.answers[status]
		if !same {
			continue
		}
		for k := range keys {
			if !real[k] && !below(real, k) {
				t.Errorf("%s: devcloud's answer %d has %q, the real cloud's has not", at, status, k)
			}
		}
		if status >= http.StatusBadRequest && !maps.Equal(keys, real) {
			t.Errorf("%s: devcloud's error %d is %v, the real cloud's %v", at, status, list(keys), list(real))
		}
	}
}

// below tells whether a key lies in something that was empty or null there.
func below(real map[string]bool, key string) bool {
	parent, _, nested := cutLast(key)
	if !nested || !real[parent] {
		return false
	}
	for k := range real {
		if strings.HasPrefix(k, parent+".") {
			return false
		}
	}
	return true
}

func cutLast(key string) (string, string, bool) {
	i := strings.LastIndexByte(key, '.')
	if i < 0 {
		return "", key, false
	}
	return key[:i], key[i+1:], true
}

func list(m map[string]bool) string { return fmt.Sprint(slices.Sorted(maps.Keys(m))) }
