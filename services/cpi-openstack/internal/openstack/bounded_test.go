package openstack

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// seen is a transport that answers with much, and keeps what it was asked.
type seen struct{ request *http.Request }

func (s *seen) RoundTrip(r *http.Request) (*http.Response, error) {
	s.request = r
	return &http.Response{Body: io.NopCloser(io.LimitReader(endless{}, maxAnswer+1))}, nil
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAnswersAndRequestsEnd(t *testing.T) {
	t.Parallel()
	for kind, ends := range map[string]bool{"application/json": true, uploads: false} {
		inner := &seen{}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://192.0.2.1/", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		answer, err := bounded{inner}.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, has := inner.request.Context().Deadline(); has != ends {
			t.Errorf("%s: the request has an end: %t, want %t", kind, has, ends)
		}
		if n, err := io.Copy(io.Discard, answer.Body); n != maxAnswer || err != nil {
			t.Errorf("%s: read %d bytes: %v", kind, n, err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if ended := inner.request.Context().Err() == context.Canceled; ended != ends {
			t.Errorf("%s: after the answer the request is over: %t, want %t", kind, ended, ends)
		}
	}
}
