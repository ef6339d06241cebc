package devcloud

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// head is what every resource has.
type head struct {
	ID, Name string
	Tags     []string
	Created  time.Time
	veil     veil
}

func (h *head) top() *head { return h }

type resource interface{ top() *head }

// veil hides a new resource from listings, as a cloud does whose databases lag.
type veil struct {
	lists int
	until time.Time
}

// hides tells whether this listing must do without, and counts it.
func (v *veil) hides() bool {
	if v.lists > 0 {
		v.lists--
		return true
	}
	return time.Now().Before(v.until)
}

// begin makes the head of a new resource, hidden when the request's fault says so.
func (c *Cloud) begin(r *http.Request, id, name string) head {
	h := head{ID: id, Name: name, Tags: []string{}, Created: c.tick()}
	if f := faultOf(r); f.Mode == ModeHide {
		h.veil.lists = f.Lists
		h.veil.until = time.Now().Add(time.Duration(f.DelayMS) * time.Millisecond)
	}
	return h
}

// oldest returns all, in the order of creation.
func oldest[T resource](m map[string]T) []T {
	out := make([]T, 0, len(m))
	for _, v := range m {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b T) int { return a.top().Created.Compare(b.top().Created) })
	return out
}

// listed returns what a listing shows, newest first.
func listed[T resource](m map[string]T, keep func(T) bool) []T {
	all := oldest(m)
	slices.Reverse(all)
	return slices.DeleteFunc(all, func(v T) bool { return v.top().veil.hides() || !keep(v) })
}

// tick gives a creation time; no two are the same. The caller holds the mutex.
func (c *Cloud) tick() time.Time {
	c.clock = max(c.clock+1, time.Now().UnixMicro())
	return time.UnixMicro(c.clock).UTC()
}

// hasAll tells whether every tag of a comma-separated list is there.
func hasAll(have []string, wanted string) bool {
	for tag := range strings.SplitSeq(wanted, ",") {
		if !slices.Contains(have, tag) {
			return false
		}
	}
	return true
}

// hasAny tells whether one of them is there.
func hasAny(have []string, wanted string) bool {
	for tag := range strings.SplitSeq(wanted, ",") {
		if slices.Contains(have, tag) {
			return true
		}
	}
	return false
}
