package openstack

import (
	"context"
	"io"
	"net/http"
	"time"
)

const (
	maxAnswer    = 32 << 20
	wholeTimeout = 2 * time.Minute
	uploads      = "application/octet-stream"
)

// bounded cuts answers that are longer than any that makes sense, and ends
// requests that take longer, but for uploads, which take as long as they need.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	cancel := context.CancelFunc(func() {})
	if r.Header.Get("Content-Type") != uploads {
		var ctx context.Context
		ctx, cancel = context.WithTimeout(r.Context(), wholeTimeout)
		r = r.WithContext(ctx)
	}
	answer, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		cancel()
		return nil, err
	}
	answer.Body = &limited{Reader: io.LimitReader(answer.Body, maxAnswer), body: answer.Body, cancel: cancel}
	return answer, nil
}

type limited struct {
	io.Reader
	body   io.Closer
	cancel context.CancelFunc
}

func (l *limited) Close() error {
	defer l.cancel()
	return l.body.Close()
}
