package stemcell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
)

const (
	maxBreaks   = 5 // in a row without a byte between them
	firstBreak  = 100 * time.Millisecond
	silence     = 60 * time.Second // without a byte: the connection is taken for dead
	maxDownload = 1 << 40          // bytes, where the server does not tell how many
)

// IsURL tells whether a stemcell's address is on the web.
func IsURL(address string) bool {
	return strings.HasPrefix(address, "http://") || strings.HasPrefix(address, "https://")
}

// At is the stemcell at a URL whose image has that sha1. Nothing is read or
// verified before Image, whose last Read tells whether it is the one.
func At(address, sha1 string) (*Stemcell, error) {
	if _, err := webAddress(address); err != nil {
		return nil, err
	}
	if !sha1Pattern.MatchString(sha1) {
		return nil, invalid(address, "a stemcell on the web needs the sha1 of its image, not %.60q", sha1)
	}
	return &Stemcell{Path: address, SHA1: strings.ToLower(sha1)}, nil
}

// webAddress refuses what would show a password to everybody who may read
// commands.
func webAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, messages.Errorf(messages.CodeStemcellMissing, "the stemcell's URL cannot be read").WithHint("give one like https://host/path/stemcell.tgz")
	}
	if u.User != nil {
		return nil, messages.Errorf(messages.CodeStemcellMissing, "the stemcell's URL %s holds a password", u.Redacted()).
			WithHint("URLs are shown on the bus; download the stemcell, or have it served without a password")
	}
	return u, nil
}

// web is an archive on a web server, read as one stream however often the
// connection breaks: where the server takes ranges it goes on where it was.
type web struct {
	ctx    context.Context
	url    *url.URL
	client *http.Client

	body   io.ReadCloser
	cancel context.CancelFunc
	alarm  *time.Timer
	at     int64  // bytes read so far
	size   int64  // -1: the server does not say
	same   string // tells the file from a later one with its name; "" = nothing does
	breaks int    // since the last byte
}

func openWeb(ctx context.Context, address string) (*web, error) {
	u, err := webAddress(address)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 30 * time.Second, ResponseHeaderTimeout: silence, DisableCompression: true}
	w := &web{ctx: ctx, url: u, client: &http.Client{Transport: transport}}
	for {
		err := w.connect()
		if err == nil {
			return w, nil
		}
		if err := w.pause(err); err != nil {
			return nil, err
		}
	}
}

// connect asks for the file from where the stream is.
func (w *web) connect() error {
	w.drop()
	ctx, cancel := context.WithCancel(w.ctx)
	w.cancel, w.alarm = cancel, time.AfterFunc(silence, cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url.String(), nil)
	if err != nil {
		return w.failed(false, err)
	}
	if w.at > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", w.at))
		if w.same != "" {
			req.Header.Set("If-Range", w.same)
		}
	}
	resp, err := w.client.Do(req) //nolint:bodyclose // the body is the stream: drop closes it
	if err != nil {
		return w.failed(true, err)
	}
	w.body = resp.Body
	switch {
	case resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode == http.StatusTooManyRequests:
		return w.failed(true, fmt.Errorf("the server answers %s", resp.Status))
	case w.at == 0 && resp.StatusCode == http.StatusOK:
		w.size, w.same = resp.ContentLength, resp.Header.Get("ETag")
		if w.same == "" || strings.HasPrefix(w.same, "W/") {
			w.same = resp.Header.Get("Last-Modified")
		}
		return nil
	case w.at > 0 && resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", w.at)):
		return nil
	case w.at > 0 && resp.StatusCode == http.StatusOK:
		w.breaks = maxBreaks
		return w.failed(true, errors.New("the connection broke, and the server cannot go on where it was"))
	}
	return w.failed(false, fmt.Errorf("the server answers %s", resp.Status))
}

func (w *web) Read(p []byte) (int, error) {
	for {
		w.alarm.Reset(silence)
		n, err := w.body.Read(p)
		w.at += int64(n)
		if n > 0 {
			w.breaks = 0
		}
		if w.size < 0 && w.at > maxDownload {
			return n, w.failed(false, errors.New("it is longer than any stemcell"))
		}
		end := errors.Is(err, io.EOF) && (w.size < 0 || w.at >= w.size)
		if n > 0 && !end || err == nil {
			return n, nil
		}
		if end {
			return n, io.EOF
		}
		for err = w.failed(true, err); err != nil; err = w.connect() {
			if err := w.pause(err); err != nil {
				return 0, err
			}
		}
	}
}

// pause waits before the next try; its error is why there is none.
func (w *web) pause(err error) error {
	if w.ctx.Err() != nil {
		return w.ctx.Err()
	}
	w.breaks++
	if !messages.AsError(err).Retryable || w.breaks > maxBreaks {
		return err
	}
	most := firstBreak << w.breaks
	return poll.Pause(w.ctx, most/2+time.Duration(rand.Int64N(int64(most)/2)))
}

func (w *web) failed(passes bool, cause error) error {
	var inner *url.Error
	if errors.As(cause, &inner) {
		cause = inner.Err
	}
	e := messages.Errorf(messages.CodeStemcellMissing, "cannot download the stemcell %s after %d bytes: %w", w.url, w.at, cause).
		WithHint("see that the CPI's host reaches it")
	e.Retryable = passes
	return e
}

// drop ends the connection there is.
func (w *web) drop() {
	if w.cancel != nil {
		w.alarm.Stop()
		w.cancel()
	}
	if w.body != nil {
		_ = w.body.Close() // only read
		w.body = nil
	}
}

// Close ends the download.
func (w *web) Close() error {
	w.drop()
	w.client.CloseIdleConnections()
	return nil
}
