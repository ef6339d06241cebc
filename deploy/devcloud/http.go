package devcloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxBody bounds requests, but for the bytes of an image.
const maxBody = 4 << 20

// failure is an error answer in its service's own shape.
type failure struct {
	status int
	body   any
	plain  string // Glance answers in words
}

func (f *failure) Error() string { return fmt.Sprintf("HTTP %d", f.status) }

// novaKinds are the keys that Nova and Cinder put around an error.
var novaKinds = map[int]string{
	400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 409: "conflictingRequest",
	413: "overLimit", 429: "overLimit", 500: "computeFault", 503: "serviceUnavailable",
}

func novaError(status int, format string, args ...any) *failure {
	return &failure{status: status, body: map[string]any{novaKinds[status]: map[string]any{"code": status, "message": fmt.Sprintf(format, args...)}}}
}

func neutronError(status int, kind, format string, args ...any) *failure {
	return &failure{status: status, body: map[string]any{"NeutronError": map[string]string{
		"type": kind, "message": fmt.Sprintf(format, args...), "detail": "",
	}}}
}

func keystoneError(status int, title, message string) *failure {
	return &failure{status: status, body: map[string]any{"error": map[string]any{"code": status, "title": title, "message": message}}}
}

func glanceError(status int, format string, args ...any) *failure {
	return &failure{status: status, plain: fmt.Sprintf(format, args...)}
}

// handle is an endpoint: a status and a body, nil for none.
type handle func(*http.Request) (int, any, error)

func (c *Cloud) handler() http.Handler {
	mux := http.NewServeMux()
	open := func(pattern string, h handle) { mux.Handle(pattern, answer(h)) }
	private := func(pattern string, h handle) { mux.Handle(pattern, answer(c.authorized(h))) }
	c.keystone(open)
	c.glance(private)
	c.nova(private)
	c.neutron(private)
	c.cinder(private)
	mux.HandleFunc("GET /devcloud/state", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, c.Inventory()) })
	mux.HandleFunc("PUT /devcloud/faults", c.putFaults)
	mux.HandleFunc("GET /devcloud/calls", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, c.faults.calls()) })
	for root, v := range map[string]string{"/network/": "v2.0", "/image/": "v2.16", "/volume/": "v3.0", "/volume/v3/": "v3.0", "/volume/v3/{project}/": "v3.0"} {
		open("GET "+root+"{$}", func(*http.Request) (int, any, error) {
			return http.StatusOK, map[string]any{"versions": []map[string]any{{
				"id": v, "status": "CURRENT", "version": "3.70", "min_version": "3.0",
				"links": []map[string]string{{"rel": "self", "href": c.URL() + "/network/v2.0/"}},
			}}}, nil
		})
	}
	for _, root := range []string{"/compute/", "/compute/v2.1/{$}"} {
		open("GET "+root, func(*http.Request) (int, any, error) {
			return http.StatusOK, map[string]any{"version": map[string]any{"id": "v2.1", "status": "CURRENT", "version": "2.90", "min_version": "2.1"}}, nil
		})
	}
	return c.faults.wrap(c, mux)
}

func answer(h handle) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != "application/octet-stream" {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		status, body, err := h(r)
		var f *failure
		switch {
		case errors.As(err, &f) && f.plain != "":
			http.Error(w, fmt.Sprintf("%d %s: %s", f.status, http.StatusText(f.status), f.plain), f.status)
		case errors.As(err, &f):
			writeJSON(w, f.status, f.body)
		case err != nil:
			writeJSON(w, http.StatusBadRequest, novaError(http.StatusBadRequest, "%v", err).body)
		case body == nil:
			w.WriteHeader(status)
		default:
			writeJSON(w, status, body)
		}
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	if token, ok := body.(issued); ok {
		w.Header().Set("X-Subject-Token", token.id)
		body = token.body
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may have gone
}

// authorized lets a request with a living token through.
func (c *Cloud) authorized(h handle) handle {
	return func(r *http.Request) (int, any, error) {
		c.mu.Lock()
		until, ok := c.tokens[r.Header.Get("X-Auth-Token")]
		c.mu.Unlock()
		if !ok || time.Now().After(until) {
			return 0, nil, keystoneError(http.StatusUnauthorized, "Unauthorized", "The request you have made requires authentication.")
		}
		return h(r)
	}
}

func readJSON(r *http.Request, into any) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return novaError(http.StatusBadRequest, "the body cannot be read")
	}
	if err := json.Unmarshal(b, into); err != nil {
		return novaError(http.StatusBadRequest, "Malformed request body: %v", err)
	}
	return nil
}

// born is anything with a creation time.
type born interface{ createdAt() time.Time }

func sorted[T born](m map[string]T) []T {
	out := make([]T, 0, len(m))
	for _, v := range m {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b T) int { return a.createdAt().Compare(b.createdAt()) })
	return out
}

// microversion is the minor of Nova's 2.x that a request asks for.
func microversion(r *http.Request) int {
	v := r.Header.Get("X-OpenStack-Nova-API-Version")
	if v == "" {
		v = strings.TrimPrefix(r.Header.Get("OpenStack-API-Version"), "compute ")
	}
	if v == "latest" {
		return 90
	}
	var minor int
	if _, err := fmt.Sscanf(v, "2.%d", &minor); err != nil {
		return 1
	}
	return minor
}

func hasAll(have []string, wanted string) bool {
	for _, tag := range strings.Split(wanted, ",") {
		if !slices.Contains(have, tag) {
			return false
		}
	}
	return true
}
