package openstack

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/microbosh/microbosh/pkg/stemcell"
)

// imageBody streams a stemcell's root image and tells how far it is. gophercloud
// rewinds a body when the token expired on the way; then the archive is read
// from its beginning again, for what was left of a stream would be taken for the
// whole image. The HTTP client may still read while the request is given up.
type imageBody struct {
	ctx    context.Context
	upload *upload

	mu     sync.Mutex // guards everything below
	stream *stemcell.ImageReader
	sent   int64
	failed error // of reading the archive, not of the cloud
	closed bool
}

var _ io.ReadSeeker = (*imageBody)(nil)

func (b *imageBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, io.ErrClosedPipe
	}
	if b.stream == nil {
		if b.stream, b.failed = b.upload.stemcell.Image(b.ctx); b.failed != nil {
			return 0, b.failed
		}
	}
	n, err := b.stream.Read(p)
	b.sent += int64(n)
	b.upload.step.Progress("uploading the stemcell", b.sent, b.stream.Size())
	if err != nil && !errors.Is(err, io.EOF) && b.ctx.Err() == nil {
		b.failed = err
	}
	return n, err
}

// Seek only rewinds.
func (b *imageBody) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekStart {
		return 0, io.ErrNoProgress
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop()
	b.sent, b.failed = 0, nil
	return 0, nil
}

func (b *imageBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

func (b *imageBody) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.drop()
}

// drop ends the stream. The caller holds the mutex.
func (b *imageBody) drop() {
	if b.stream != nil {
		_ = b.stream.Close() // only read
		b.stream = nil
	}
}
