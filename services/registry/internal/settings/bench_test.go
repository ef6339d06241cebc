package settings_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

// BenchmarkAPI measures whole requests over one connection at a time, on a bus
// that syncs every write.
func BenchmarkAPI(b *testing.B) {
	h := begin(b)
	body := `{"a":"` + strings.Repeat("x", 2000) + `"}`
	if _, err := h.put(b, messages.SettingsPut{Name: "vm-1"}, body); err != nil {
		b.Fatal(err)
	}
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		b.Run(method, func(b *testing.B) {
			for b.Loop() {
				r, err := http.NewRequest(method, h.url+"/instances/vm-1/settings", strings.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				r.SetBasicAuth(h.user, h.password)
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
					b.Fatalf("%s answers %d: %v", method, resp.StatusCode, err)
				}
				_ = resp.Body.Close()
			}
		})
	}
}
