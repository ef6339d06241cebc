package stemcell

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strings"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Bounds on the member image: a sparse file in it takes no room and may claim
// any size.
const (
	maxInner = 100     // members before root.img
	maxRoot  = 1 << 40 // bytes of root.img
)

// Image streams root.img out of the member image. Its digest is taken again on
// the way: when the archive is no longer the one that Open verified, the last
// Read fails instead of telling the end, so who passes the image on must not
// finish before io.EOF.
func (s *Stemcell) Image(ctx context.Context) (*ImageReader, error) {
	i, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	if err := i.open(); err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

// ImageReader streams a root.img.
type ImageReader struct {
	ctx    context.Context
	s      *Stemcell
	f      io.ReadCloser
	sum    hash.Hash
	member io.Reader // the member image, through sum
	root   *member
	end    error
}

// find goes to the member image.
func (i *ImageReader) find() error {
	i.member = contextReader{i.ctx, i.f}
	if !i.s.bare {
		image, err := find(i.s.Path, i.member, memberImage)
		if err != nil {
			return err
		}
		if image == nil {
			return invalid(i.s.Path, "Stemcell image file is missing")
		}
		i.member = image
	}
	if i.s.SHA1 != "" {
		i.member = io.TeeReader(i.member, i.sum)
	}
	return nil
}

func (i *ImageReader) open() error {
	if err := i.find(); err != nil {
		return err
	}
	root, err := find(i.s.Path, i.member, memberRoot)
	if err != nil {
		return err
	}
	if root == nil {
		return invalid(i.s.Path, "Root image is missing from stemcell archive")
	}
	i.root = root
	return nil
}

// Read gives the next bytes; its last error is io.EOF only when the digest was
// right.
func (i *ImageReader) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	if i.end != nil {
		return 0, i.end
	}
	n, err := i.root.Read(p)
	if errors.Is(err, io.EOF) {
		i.end = i.verify()
		return n, i.end
	}
	if err != nil {
		return n, i.failure(err)
	}
	return n, nil
}

// failure is the context's own error when that is the reason.
func (i *ImageReader) failure(err error) error {
	if end := i.ctx.Err(); end != nil {
		return end
	}
	return unreadable(i.s.Path, err)
}

// verify reads what is left of the member and compares. io.EOF is the good end.
func (i *ImageReader) verify() error {
	if _, err := io.Copy(io.Discard, i.member); err != nil {
		return i.failure(err)
	}
	if digest := hex.EncodeToString(i.sum.Sum(nil)); i.s.SHA1 != "" && !strings.EqualFold(digest, i.s.SHA1) {
		if i.s.carried != nil {
			return invalid(i.s.Path, "the image of %s has the sha1 %s, not %s", i.s.Path, digest, i.s.SHA1).
				WithHint("run the same command again: it looks at every part that it puts there")
		}
		return invalid(i.s.Path, "the image's sha1 is %s, but it was %s: the archive was replaced while it was read", digest, i.s.SHA1).
			WithHint("run the command again once nobody writes %s", i.s.Path)
	}
	return io.EOF
}

// contextReader stops at the context's end, also while members are skipped.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// Size is that of the whole root.img, in bytes.
func (i *ImageReader) Size() int64 { return i.root.size }

// Close lets the archive go.
func (i *ImageReader) Close() error { return i.f.Close() }

// member is a member of a tar.gz and its size in bytes.
type member struct {
	io.Reader
	size int64
}

// find is a reader of one member of a tar.gz, nil when there is none.
func find(path string, r io.Reader, name string) (*member, error) {
	gz, err := gzip.NewReader(bufio.NewReaderSize(r, 256<<10))
	if err != nil {
		var e *messages.Error
		if errors.As(err, &e) {
			return nil, err // of the download
		}
		return nil, invalid(path, "the image is no tar.gz with %s: %w", name, err)
	}
	tr := tar.NewReader(gz)
	most := maxMembers
	if name == memberRoot {
		most = maxInner
	}
	for range most {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, unreadable(path, err)
		}
		if strings.TrimPrefix(h.Name, "./") != name || (h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeGNUSparse) {
			continue
		}
		if h.Size > maxRoot {
			return nil, invalid(path, "%s claims %d bytes, more than %d", name, h.Size, int64(maxRoot))
		}
		return &member{tr, h.Size}, nil
	}
	return nil, nil
}
