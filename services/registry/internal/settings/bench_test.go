package settings_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// BenchmarkAPI measures whole requests of 2 KB over connections that stay, on a
// bus that syncs every write, beside a net/http handler that returns a constant.
// The clients are in the same process, for all alike.
func BenchmarkAPI(b *testing.B) {
	h, bare, body := h2KB(b)
	for _, conns := range []int{1, 16, 64} {
		for _, kind := range []struct{ name, method, url string }{
			{"bare", http.MethodGet, bare}, {"GET", http.MethodGet, h.url}, {"PUT", http.MethodPut, h.url},
		} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, conns), func(b *testing.B) {
				h.load(b, conns, b.N, kind.method, kind.url, body).report(b)
			})
		}
	}
}

// BenchmarkAPIRatio takes turns of GET and bare, each a moment long, so that
// what else the machine does falls on both, and tells the median of GET's rate
// over bare's.
func BenchmarkAPIRatio(b *testing.B) {
	h, bare, body := h2KB(b)
	for _, conns := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(conns), func(b *testing.B) {
			ratios := []float64{}
			for b.Loop() {
				at := h.load(b, conns, perTurn, http.MethodGet, bare, body)
				ratios = append(ratios, at.wall.Seconds()/h.load(b, conns, perTurn, http.MethodGet, h.url, body).wall.Seconds())
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "GET/bare")
			b.ReportMetric(0, "ns/op")
		})
	}
}

const perTurn = 1000

// h2KB is a registry that knows 2 KB as vm-1, and the URL of the bare handler.
func h2KB(b *testing.B) (h *house, bare, body string) {
	b.Helper()
	h = begin(b)
	body = `{"a":"` + strings.Repeat("x", 2000) + `"}`
	if _, err := h.put(b, messages.SettingsPut{Name: "vm-1"}, body); err != nil {
		b.Fatal(err)
	}
	constant := []byte(`{"status":"ok","settings":"` + strings.Repeat("x", 2000) + `"}`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(constant)
	}))
	b.Cleanup(server.Close)
	return h, server.URL, body
}

// load sends requests over so many connections. To one instance PUTs compete,
// so each connection has its own.
func (h *house) load(b *testing.B, conns, requests int, method, url, body string) turn {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(requests))
	took := make([][]time.Duration, conns)
	var group sync.WaitGroup
	began := time.Now()
	for i := range conns {
		group.Go(func() {
			transport := &http.Transport{MaxConnsPerHost: 1}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			name := "vm-1"
			if method == http.MethodPut {
				name = fmt.Sprint("vm-put-", i)
			}
			for left.Add(-1) >= 0 {
				sent := time.Now()
				if err := h.one(client, method, url+"/instances/"+name+"/settings", body); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(sent))
			}
		})
	}
	group.Wait()
	return turn{wall: time.Since(began), took: slices.Sorted(slices.Values(slices.Concat(took...)))}
}

// turn is how long requests took: together, and each, sorted.
type turn struct {
	wall time.Duration
	took []time.Duration
}

func (t turn) report(b *testing.B) {
	b.Helper()
	wall, all := t.wall, t.took
	if len(all) == 0 {
		return
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	b.ReportMetric(float64(len(all))/wall.Seconds(), "req/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(memory.Sys>>20), "MB")
	b.ReportMetric(0, "ns/op")
}

func (h *house) one(client *http.Client, method, url, body string) error {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.SetBasicAuth(h.user, h.password)
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d: %w", method, resp.StatusCode, err)
	}
	return nil
}
