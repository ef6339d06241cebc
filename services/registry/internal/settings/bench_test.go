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
	h := begin(b)
	body := `{"a":"` + strings.Repeat("x", 2000) + `"}`
	if _, err := h.put(b, messages.SettingsPut{Name: "vm-1"}, body); err != nil {
		b.Fatal(err)
	}
	constant := []byte(`{"status":"ok","settings":"` + strings.Repeat("x", 2000) + `"}`)
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(constant)
	}))
	defer bare.Close()
	for _, conns := range []int{1, 16, 64} {
		for _, kind := range []struct{ name, method, url string }{
			{"bare", http.MethodGet, bare.URL}, {"GET", http.MethodGet, h.url}, {"PUT", http.MethodPut, h.url},
		} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, conns), func(b *testing.B) {
				h.load(b, conns, kind.method, kind.url, body)
			})
		}
	}
}

// load sends b.N requests over so many connections. To one instance PUTs
// compete, so each connection has its own.
func (h *house) load(b *testing.B, conns int, method, url, body string) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
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
	wall := time.Since(began)
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
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
