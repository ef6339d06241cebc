package devcloud

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

type faultKey struct{}

// faultOf is the fault that a request meets, for the modes that change what it
// creates.
func faultOf(r *http.Request) Fault {
	f, _ := r.Context().Value(faultKey{}).(Fault)
	return f
}

// misbehaving lets requests meet their faults before or after the real handler.
func (c *Cloud) misbehaving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/devcloud/") {
			next.ServeHTTP(w, r)
			return
		}
		fault, n := c.faults.match(r)
		if hook := c.o.Hook; hook != nil && !hook(n, r) {
			c.faults.record(r, 0)
			cut(w)
			return
		}
		if c.before(fault, w, r) {
			c.serve(fault, next, w, r)
		}
	})
}

// before does what a fault does to a request before its effect; false when
// there is to be none.
func (c *Cloud) before(fault Fault, w http.ResponseWriter, r *http.Request) bool {
	switch fault.Mode {
	case ModeFail:
		f := faultError(fault, r)
		c.faults.record(r, f.status)
		f.write(w, r)
		return false
	case ModeCut:
		c.faults.record(r, 0)
		cut(w)
		return false
	case ModeExpire:
		c.mu.Lock()
		clear(c.tokens)
		c.mu.Unlock()
	case ModeHold:
		c.faults.hold(r, 0)
		return r.Context().Err() == nil
	case ModeDelay:
		t := time.NewTimer(time.Duration(fault.DelayMS) * time.Millisecond)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			return false
		}
	}
	return true
}

func (c *Cloud) serve(fault Fault, next http.Handler, w http.ResponseWriter, r *http.Request) {
	r = r.WithContext(context.WithValue(r.Context(), faultKey{}, fault))
	switch fault.Mode {
	case ModeDrop, ModeLate503, ModeTruncate, ModeDuplicate, ModeHoldAfter:
	default:
		watched := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(watched, r)
		c.faults.record(r, watched.status)
		return
	}
	if fault.Mode == ModeDuplicate {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			cut(w)
			return
		}
		first := r.Clone(r.Context())
		first.Body = &memory{b: body}
		next.ServeHTTP(&kept{header: http.Header{}}, first)
		r.Body = &memory{b: body}
	}
	out := &kept{header: http.Header{}, status: http.StatusOK}
	next.ServeHTTP(out, r)
	answer := out.body.Bytes()
	switch fault.Mode {
	case ModeDrop:
		c.faults.record(r, 0)
		cut(w)
		return
	case ModeLate503:
		f := faultError(fault, r)
		c.faults.record(r, f.status)
		f.write(w, r)
		return
	case ModeHoldAfter:
		c.faults.hold(r, out.status)
	case ModeTruncate:
		answer = answer[:len(answer)/2]
	}
	c.faults.record(r, out.status)
	maps.Copy(w.Header(), out.header)
	w.WriteHeader(out.status)
	_, _ = w.Write(answer) // the client may have gone
}

// faultError is the error that a fault answers with.
func faultError(fault Fault, r *http.Request) *failure {
	status, message, after := fault.Status, fault.Message, fault.RetryAfter
	if status == 0 {
		status = http.StatusServiceUnavailable
	}
	if message == "" {
		message = map[int]string{
			http.StatusServiceUnavailable:  "The service is currently unavailable. Please try again later.",
			http.StatusTooManyRequests:     "This request was rate-limited.",
			http.StatusInternalServerError: "Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and attach the Nova API log if possible.",
		}[status]
	}
	if message == "" {
		message = http.StatusText(status)
	}
	f := serviceError(r.URL.Path, status, message)
	if after == 0 && (status == http.StatusTooManyRequests || status == http.StatusRequestEntityTooLarge) {
		after = 1
	}
	if after > 0 {
		f.header = map[string]string{"Retry-After": strconv.Itoa(after)}
	}
	return f
}

func cut(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// statusWriter watches which status was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// kept is an answer that is not sent yet.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *kept) Header() http.Header         { return k.header }
func (k *kept) WriteHeader(status int)      { k.status = status }
func (k *kept) Write(b []byte) (int, error) { return k.body.Write(b) }
