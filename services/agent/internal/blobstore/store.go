package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// Source says where a blob is: under an id in a blobstore, or at a signed URL.
// Headers go with the URL.
type Source struct {
	ID      string
	URL     string
	Headers map[string]string
	Digest  string
}

func (s Source) String() string {
	if s.URL != "" {
		return "at its signed URL" // which is a secret
	}
	return s.ID
}

// backend is the blobstore that the settings name.
type backend interface {
	get(ctx context.Context, id string) (io.ReadCloser, error)
	put(ctx context.Context, id string, file *os.File) error
}

// Blobs is what the agent can reach: its own store, which /blobs and
// upload_blob fill, then the one of the settings.
type Blobs struct {
	own     *Local
	store   backend
	tmp     string
	signed  *http.Client
	retries time.Duration
}

// How often a blobstore is asked for a blob.
const (
	tries      = 3
	retryPause = 500 * time.Millisecond
	blobLimit  = 4 << 30
)

// New opens the blobstore that the settings name.
func New(settings messages.Blobstore, dir home.Dir) (*Blobs, error) {
	b := &Blobs{
		own: &Local{dir: dir.Join("data", "blobs")}, tmp: dir.Join("data", "tmp", "blobs"),
		signed: &http.Client{Timeout: transferLimit}, retries: retryPause,
	}
	var err error
	switch settings.Provider {
	case "local", "simple", "":
		b.store, err = newLocal(settings, dir)
	case "dav", "davcli":
		b.store, err = newDAV(settings)
	default:
		return nil, fmt.Errorf("cannot use the blobstore: provider %q is not built into this agent, 'local' and 'dav' are", settings.Provider)
	}
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(b.tmp); err != nil { // what a killed download left
		return nil, fmt.Errorf("cannot empty %s: %w", b.tmp, err)
	}
	if err := b.own.tidy(); err != nil {
		return nil, err
	}
	return b, nil
}

// Open gives a blob that lies on this machine, and its size.
func (b *Blobs) Open(id string) (io.ReadCloser, int64, error) {
	blob, size, err := b.own.Open(id)
	if local, ok := b.store.(*Local); ok && errors.Is(err, errNone) {
		return local.Open(id)
	}
	return blob, size, err
}

// Put stores a blob on this machine, whole or not at all.
func (b *Blobs) Put(id string, from io.Reader) error { return b.own.Put(id, from) }

// Keep is Put of a blob that must have the digest.
func (b *Blobs) Keep(id, digest string, from io.Reader) error {
	sum, err := newSum(digest)
	if err != nil {
		return err
	}
	return b.own.write(id, io.TeeReader(from, sum), sum.check)
}

// Fetch gives a verified copy of a blob, open at its beginning. Closing it
// removes it.
func (b *Blobs) Fetch(ctx context.Context, from Source) (*File, error) {
	if _, err := newSum(from.Digest); err != nil {
		return nil, fmt.Errorf("cannot use blob %s: %w", from, err)
	}
	var failed error
	for try := range tries {
		if try > 0 && poll.Pause(ctx, b.retries) != nil {
			break
		}
		file, err := b.fetch(ctx, from)
		if err == nil {
			return file, nil
		}
		failed = err
		if errors.Is(err, errNone) || errors.Is(err, errDenied) || ctx.Err() != nil {
			break
		}
	}
	return nil, failed
}

func (b *Blobs) fetch(ctx context.Context, from Source) (*File, error) {
	source, err := b.source(ctx, from)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	if err := home.MkdirAll(b.tmp); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(b.tmp, "blob-*")
	if err != nil {
		return nil, fmt.Errorf("cannot fetch blob %s: %w", from, err)
	}
	file := &File{tmp}
	sum, err := newSum(from.Digest)
	if err == nil {
		err = copyBounded(io.MultiWriter(tmp, sum), source, blobLimit)
	}
	if err == nil {
		err = sum.check()
	}
	if err == nil {
		_, err = tmp.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot use blob %s: %w", from, err), file.Close())
	}
	return file, nil
}

func (b *Blobs) source(ctx context.Context, from Source) (io.ReadCloser, error) {
	if from.URL != "" {
		return b.download(ctx, from)
	}
	blob, err := b.own.open(from.ID)
	if errors.Is(err, errNone) {
		return b.store.get(ctx, from.ID)
	}
	return blob, err
}

// Unpack verifies a blob, which is a tar.gz, and unpacks it into dir, which
// must not be there. It comes to be whole or not at all.
func (b *Blobs) Unpack(ctx context.Context, from Source, dir string) error {
	blob, err := b.Fetch(ctx, from)
	if err != nil {
		return err
	}
	defer blob.Close()
	if err := unpackAside(blob, dir); err != nil {
		return fmt.Errorf("Failed to unpack blob %s: %w", from, err) //nolint:staticcheck // BOSH's text
	}
	return nil
}

// Create stores a file under a new id in the blobstore of the settings.
func (b *Blobs) Create(ctx context.Context, path string) (id string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot read what is to be stored: %w", err)
	}
	defer file.Close()
	id = newID()
	for try := range tries {
		if try > 0 && poll.Pause(ctx, b.retries) != nil {
			break
		}
		if _, err = file.Seek(0, io.SeekStart); err != nil {
			return "", err
		}
		if err = b.store.put(ctx, id, file); err == nil {
			return id, nil
		}
		if errors.Is(err, errDenied) {
			break
		}
	}
	return "", err
}

// File is a temporary copy of a blob.
type File struct{ *os.File }

// Close removes the copy.
func (f *File) Close() error { return errors.Join(f.File.Close(), os.Remove(f.Name())) }

func copyBounded(to io.Writer, from io.Reader, limit int64) error {
	n, err := io.Copy(to, io.LimitReader(from, limit+1))
	if err == nil && n > limit {
		return fmt.Errorf("it has more than %d bytes", limit)
	}
	return err
}
