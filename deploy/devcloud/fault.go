package devcloud

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Mode is a way to misbehave.
type Mode string

// Modes. drop, late503, truncate and duplicate let the request take effect.
const (
	ModeDrop      Mode = "drop"      // takes effect, then the connection is cut without an answer
	ModeLate503   Mode = "late503"   // takes effect, then answers 503
	ModeTruncate  Mode = "truncate"  // takes effect, then half of the answer's body
	ModeDuplicate Mode = "duplicate" // takes effect twice
	ModeHide      Mode = "hide"      // what it creates is missing from the next Lists listings
	ModeError     Mode = "error"     // the server it creates goes to ERROR with Message
	ModeFail      Mode = "fail"      // answers Status without effect
	ModeCut       Mode = "cut"       // the connection is cut before any effect
	ModeExpire    Mode = "expire"    // every token is void from here on
	ModeDelay     Mode = "delay"     // waits Delay, then behaves
)

// Fault makes matching requests misbehave.
type Fault struct {
	Mode    Mode   `json:"mode"`
	Method  string `json:"method,omitempty"` // "" = any
	Path    string `json:"path,omitempty"`   // regular expression, "" = any
	Skip    int    `json:"skip,omitempty"`   // this many matches behave first
	Count   int    `json:"count,omitempty"`  // this many misbehave; 0 = all
	Status  int    `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
	Lists   int    `json:"lists,omitempty"`
	DelayMS int    `json:"delay_ms,omitempty"`
}

// Call is a request that was made.
type Call struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Status int    `json:"status"`
}

const maxCalls = 10_000

type faults struct {
	mu    sync.Mutex
	rules []*armed // guarded by mu
	made  []Call   // guarded by mu
}

type armed struct {
	Fault
	path *regexp.Regexp
	seen int
}

func newFaults(list []Fault) *faults {
	f := &faults{}
	if err := f.set(list); err != nil {
		f.rules = nil
	}
	return f
}

func (f *faults) set(list []Fault) error {
	rules := make([]*armed, 0, len(list))
	for _, rule := range list {
		path, err := regexp.Compile(rule.Path)
		if err != nil {
			return fmt.Errorf("the path %q is no regular expression: %w", rule.Path, err)
		}
		rules = append(rules, &armed{Fault: rule, path: path})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = rules
	return nil
}

// SetFaults replaces all faults.
func (c *Cloud) SetFaults(list ...Fault) error { return c.faults.set(list) }

// Calls lists the requests that were made so far.
func (c *Cloud) Calls() []Call { return c.faults.calls() }

func (c *Cloud) putFaults(w http.ResponseWriter, r *http.Request) {
	var list []Fault
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&list); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := c.faults.set(list); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (f *faults) calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call{}, f.made...)
}

func (f *faults) record(r *http.Request, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.made) < maxCalls {
		f.made = append(f.made, Call{r.Method, r.URL.Path, status})
	}
}

func (f *faults) match(r *http.Request) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, rule := range f.rules {
		if (rule.Method != "" && rule.Method != r.Method) || !rule.path.MatchString(r.URL.Path) {
			continue
		}
		rule.seen++
		if rule.seen <= rule.Skip || (rule.Count > 0 && rule.seen > rule.Skip+rule.Count) {
			continue
		}
		return rule.Fault, true
	}
	return Fault{}, false
}

// wrap lets requests misbehave before or after the real handler.
func (f *faults) wrap(c *Cloud, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/devcloud/") {
			next.ServeHTTP(w, r)
			return
		}
		fault, ok := f.match(r)
		if !ok {
			recorder := &statusWriter{ResponseWriter: w, status: http.StatusOK}
			next.ServeHTTP(recorder, r)
			f.record(r, recorder.status)
			return
		}
		f.misbehave(c, fault, next, w, r)
	})
}

func (f *faults) misbehave(c *Cloud, fault Fault, next http.Handler, w http.ResponseWriter, r *http.Request) {
	switch fault.Mode {
	case ModeFail:
		if fault.Status == http.StatusTooManyRequests || fault.Status == http.StatusRequestEntityTooLarge {
			w.Header().Set("Retry-After", "1")
		}
		f.record(r, fault.Status)
		writeJSON(w, fault.Status, novaError(fault.Status, "%s", fault.Message).body)
		return
	case ModeCut:
		f.record(r, 0)
		cut(w)
		return
	case ModeExpire:
		c.mu.Lock()
		clear(c.tokens)
		c.mu.Unlock()
	case ModeDelay:
		select {
		case <-time.After(time.Duration(fault.DelayMS) * time.Millisecond):
		case <-r.Context().Done():
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		cut(w)
		return
	}
	rounds := 1
	if fault.Mode == ModeDuplicate {
		rounds = 2
	}
	var out *httptest.ResponseRecorder
	for range rounds {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		again = withFault(again, fault)
		out = httptest.NewRecorder()
		next.ServeHTTP(out, again)
	}
	f.record(r, out.Code)
	switch fault.Mode {
	case ModeDrop:
		cut(w)
		return
	case ModeLate503:
		writeJSON(w, http.StatusServiceUnavailable, novaError(http.StatusServiceUnavailable, "%s", fault.Message).body)
		return
	}
	for k, v := range out.Header() {
		w.Header()[k] = v
	}
	answer := out.Body.Bytes()
	if fault.Mode == ModeTruncate {
		answer = answer[:len(answer)/2]
	}
	w.WriteHeader(out.Code)
	_, _ = w.Write(answer) // the client may have gone
}

func cut(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
