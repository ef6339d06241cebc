package conformance_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// call is one request and its answer, without what differs from run to run.
type call struct {
	Method, Path string   // ids are *
	Body         []string // keys of the request
	Status       int
	Shape        []string // keys of the answer
}

// wire is a proxy before every service of a cloud: it rewrites the addresses
// in answers, so that all calls come by.
type wire struct {
	t      testing.TB
	server *httptest.Server
	onto   http.RoundTripper

	mu    sync.Mutex
	calls []call // guarded by mu
	n     int    // guarded by mu; calls since the last arm
	at    int    // guarded by mu; 0 = none
	after bool   // guarded by mu
	kill  func() // guarded by mu

	spoilt spoilt // guarded by mu
}

func newWire(t testing.TB) *wire {
	w := &wire{t: t, onto: &http.Transport{MaxIdleConnsPerHost: 16}}
	w.server = httptest.NewServer(w)
	t.Cleanup(w.server.Close)
	return w
}

var (
	address   = regexp.MustCompile(`http://(127\.0\.0\.1:\d+)`)
	idPattern = regexp.MustCompile(`[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}|[a-z0-9]+-[a-z_]+-\d+`)
	flavorID  = regexp.MustCompile(`/flavors/[^/]+$`)
)

// through gives the address that leads over the wire to the cloud's.
func (w *wire) through(to string) string {
	return address.ReplaceAllString(to, w.server.URL+"/$1")
}

// arm ends the CPI at the n-th call from now on.
func (w *wire) arm(n int, after bool, kill func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n, w.at, w.after, w.kill = 0, n, after, kill
}

// disarm gives how many calls came since arm, and whether one killed.
func (w *wire) disarm() (int, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fired := w.at > 0 && w.n >= w.at
	w.at = 0
	return w.n, fired
}

func (w *wire) recorded() []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

// due counts a call and tells whether to kill at it.
func (w *wire) due() (before, after func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	if w.at == 0 || w.n != w.at {
		return nil, nil
	}
	if w.after {
		return nil, w.kill
	}
	return w.kill, nil
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	before, after := w.due()
	if before != nil {
		before()
		panic(http.ErrAbortHandler)
	}
	host, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	out := r.Clone(r.Context())
	out.RequestURI, out.Host = "", host
	out.URL = &url.URL{Scheme: "http", Host: host, Path: "/" + path, RawQuery: r.URL.RawQuery}
	if after != nil {
		out = out.WithContext(w.t.Context()) // the CPI's end must not end the call
	}
	spoilt, spoils := w.spoils(r.Method, "/"+path)
	if spoils && !spoilt.Effect {
		spoilt.apply(rw, 0, nil)
		return
	}
	var body []byte
	if strings.Contains(r.Header.Get("Content-Type"), "json") {
		body, _ = io.ReadAll(r.Body)
		out.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := w.onto.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.note(r.Method, "/"+path, body, resp, answer)
	if after != nil {
		after()
		panic(http.ErrAbortHandler)
	}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") {
		answer = []byte(w.through(string(answer)))
	}
	if spoils {
		spoilt.apply(rw, resp.StatusCode, answer)
		return
	}
	maps.Copy(rw.Header(), resp.Header)
	for _, name := range []string{"Content-Length", "Connection"} {
		rw.Header().Del(name)
	}
	rw.WriteHeader(resp.StatusCode)
	_, _ = rw.Write(answer) // the CPI may be gone
}

func (w *wire) note(method, path string, body []byte, resp *http.Response, answer []byte) {
	c := call{Method: method, Path: shorten(path), Body: keys(body), Status: resp.StatusCode, Shape: keys(answer)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, c)
}

// shorten gives a path as both clouds have it: devcloud's services share one
// address and have a prefix each.
func shorten(path string) string {
	for _, prefix := range []string{"/identity", "/compute", "/image", "/network", "/volume"} {
		if rest, ok := strings.CutPrefix(path, prefix+"/"); ok {
			path = "/" + rest
			break
		}
	}
	if !strings.HasSuffix(path, "/detail") {
		path = flavorID.ReplaceAllString(path, "/flavors/*")
	}
	return idPattern.ReplaceAllString(path, "*")
}

// keys lists the keys of a JSON document with their places, two levels of
// objects deep, through lists. Metadata are the user's own.
func keys(text []byte) []string {
	var tree any
	if json.Unmarshal(text, &tree) != nil {
		return nil
	}
	found := map[string]bool{}
	walk(tree, "", 0, found)
	return slices.Sorted(maps.Keys(found))
}

func walk(node any, at string, depth int, found map[string]bool) {
	switch node := node.(type) {
	case map[string]any:
		if depth > 2 || strings.HasSuffix(at, "metadata.") || strings.HasSuffix(at, "addresses.") || strings.HasSuffix(at, "properties.") {
			return
		}
		for key, value := range node {
			found[at+key] = true
			walk(value, at+key+".", depth+1, found)
		}
	case []any:
		for _, value := range node {
			walk(value, at, depth, found)
		}
	}
}
