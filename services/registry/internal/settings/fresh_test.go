package settings_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// TestFresh has one registry written to and another read, at once: no read gives
// less than what a write before it was confirmed with.
func TestFresh(t *testing.T) {
	t.Parallel()
	h := begin(t)
	other := *h
	other.run(t, h.cpi.URL())
	path := "/instances/vm-1/settings"
	write := func(n int) {
		// Others' settings change too, more than are looked at one by one.
		for i := range n % 12 {
			if code, _, body := h.do(t, http.MethodPut, fmt.Sprintf("/instances/vm-x%d/settings", i), h.user, h.password, `{}`); code != 200 {
				t.Errorf("PUT beside: %d %s", code, body)
			}
		}
		if code, _, body := h.do(t, http.MethodPut, path, h.user, h.password, fmt.Sprintf(`{"n":%d}`, n)); code != 200 {
			t.Errorf("PUT: %d %s", code, body)
		}
	}
	read := func(at *house) int {
		code, _, body := at.do(t, http.MethodGet, path, h.user, h.password, "")
		n := 0
		if _, err := fmt.Sscanf(body, `{"status":"ok","settings":"{\"n\":%d}"}`, &n); code != 200 || err != nil {
			t.Errorf("GET: %d %s", code, body)
		}
		return n
	}
	var confirmed atomic.Int64
	var readers sync.WaitGroup
	stop := make(chan struct{})
	write(0)
	for i := range 4 {
		readers.Go(func() {
			at := []*house{h, &other}[i%2]
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := int(confirmed.Load())
				if n := read(at); n < before {
					t.Errorf("read %d after %d was confirmed", n, before)
					return
				}
			}
		})
	}
	for n := 1; n <= 60; n++ {
		write(n)
		confirmed.Store(int64(n))
		if got := read(&other); got != n {
			t.Errorf("the other registry reads %d right after %d", got, n)
		}
	}
	close(stop)
	readers.Wait()

	if err := h.delete(t, "vm-1"); err != nil {
		t.Fatal(err)
	}
	for _, at := range []*house{h, &other} {
		if code, _, _ := at.do(t, http.MethodGet, path, h.user, h.password, ""); code != 404 {
			t.Errorf("after the delete GET answers %d", code)
		}
	}
}
