package devcloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"sync"
)

// Mode is a way to misbehave.
type Mode string

// Modes. With drop, late503, truncate, duplicate and hold_after the request
// takes effect.
const (
	ModeDrop      Mode = "drop"       // takes effect, then the connection is cut without an answer
	ModeLate503   Mode = "late503"    // takes effect, then answers 503 (or Status)
	ModeTruncate  Mode = "truncate"   // takes effect, then half of the answer's body
	ModeDuplicate Mode = "duplicate"  // takes effect twice
	ModeHide      Mode = "hide"       // what it creates is missing from the next Lists listings, and for DelayMS
	ModeError     Mode = "error"      // the server, volume or snapshot that it creates ends in ERROR, a server with Message
	ModeFail      Mode = "fail"       // answers Status (default 503) without effect
	ModeCut       Mode = "cut"        // the connection is cut before any effect
	ModeExpire    Mode = "expire"     // every token is void from here on
	ModeDelay     Mode = "delay"      // waits DelayMS, then behaves
	ModeHold      Mode = "hold"       // waits before any effect, until released
	ModeHoldAfter Mode = "hold_after" // takes effect, then waits with the answer until released
)

// Fault makes matching requests misbehave. The first that matches decides.
type Fault struct {
	Mode       Mode   `json:"mode"`
	Service    string `json:"service,omitempty"` // identity, image, compute, network or volume; "" = any
	Method     string `json:"method,omitempty"`  // "" = any
	Path       string `json:"path,omitempty"`    // regular expression, "" = any
	Skip       int    `json:"skip,omitempty"`    // this many matches behave first
	Count      int    `json:"count,omitempty"`   // this many misbehave; 0 = all
	Status     int    `json:"status,omitempty"`
	Message    string `json:"message,omitempty"`
	RetryAfter int    `json:"retry_after,omitempty"` // seconds, for 413 and 429 at least 1
	Lists      int    `json:"lists,omitempty"`
	DelayMS    int    `json:"delay_ms,omitempty"`
}

func (f Fault) check() error {
	switch f.Mode {
	case ModeDrop, ModeLate503, ModeTruncate, ModeDuplicate, ModeHide, ModeError, ModeFail, ModeCut, ModeExpire, ModeDelay, ModeHold, ModeHoldAfter:
	default:
		return fmt.Errorf("cannot set a fault: there is no mode %q", f.Mode)
	}
	if f.Service != "" && serviceOf("/"+f.Service) != f.Service {
		return fmt.Errorf("cannot set a fault: there is no service %q", f.Service)
	}
	if f.Skip < 0 || f.Count < 0 || f.Lists < 0 || f.DelayMS < 0 || f.RetryAfter < 0 {
		return errors.New("cannot set a fault: a number is negative")
	}
	if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		return fmt.Errorf("cannot set a fault: %d is no status of an error", f.Status)
	}
	return nil
}

// Call is a request that was made.
type Call struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Status int    `json:"status"` // 0: the connection was cut
}

const maxCalls = 10_000 // that are remembered

type faults struct {
	mu    sync.Mutex // guards everything below
	rules []*armed
	made  []Call
	begun int
	held  []Call        // requests that wait to be released
	gate  chan struct{} // closed on release
	moved chan struct{} // closed when held changes
}

type armed struct {
	Fault
	path *regexp.Regexp
	seen int
}

func newFaults(list []Fault) (*faults, error) {
	f := &faults{gate: make(chan struct{}), moved: make(chan struct{})}
	return f, f.set(list)
}

func (f *faults) set(list []Fault) error {
	rules := make([]*armed, 0, len(list))
	for _, rule := range list {
		if err := rule.check(); err != nil {
			return err
		}
		path, err := regexp.Compile(rule.Path)
		if err != nil {
			return fmt.Errorf("cannot set a fault: the path %q is no regular expression: %w", rule.Path, err)
		}
		rules = append(rules, &armed{Fault: rule, path: path})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = rules
	return nil
}

// match finds the fault of a request, and its number.
func (f *faults) match(r *http.Request) (Fault, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun++
	for _, rule := range f.rules {
		if (rule.Method != "" && rule.Method != r.Method) || (rule.Service != "" && rule.Service != serviceOf(r.URL.Path)) || !rule.path.MatchString(r.URL.Path) {
			continue
		}
		rule.seen++
		if rule.seen > rule.Skip && (rule.Count == 0 || rule.seen <= rule.Skip+rule.Count) {
			return rule.Fault, f.begun
		}
	}
	return Fault{}, f.begun
}

func (f *faults) record(r *http.Request, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.made) == maxCalls {
		f.made = f.made[1:]
	}
	f.made = append(f.made, Call{r.Method, r.URL.Path, status})
}

func (f *faults) calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call{}, f.made...)
}

// hold keeps a request until it is released or its client goes.
func (f *faults) hold(r *http.Request, status int) {
	f.mu.Lock()
	f.held = append(f.held, Call{r.Method, r.URL.Path, status})
	close(f.moved)
	f.moved = make(chan struct{})
	gate := f.gate
	f.mu.Unlock()
	select {
	case <-gate:
	case <-r.Context().Done():
	}
}

// release lets go on what is held.
func (f *faults) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.gate)
	f.gate, f.held = make(chan struct{}), nil
}

// holding waits until a request is held, and tells which are.
func (f *faults) holding(ctx context.Context) ([]Call, error) {
	for {
		f.mu.Lock()
		held, moved := append([]Call{}, f.held...), f.moved
		f.mu.Unlock()
		if len(held) > 0 {
			return held, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return held, ctx.Err()
		}
	}
}
