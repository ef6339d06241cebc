package stemcell

import (
	"context"
	"crypto/sha1"
	"io"
	"strings"
)

// Packed streams the member image as it lies in the archive: ImageSize bytes.
// Like Image's, its last Read fails when the archive is no longer the one that
// Open verified.
func (s *Stemcell) Packed(ctx context.Context) (io.ReadCloser, error) {
	i, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	if err := i.find(); err != nil {
		_ = i.Close() // only read
		return nil, err
	}
	i.root = &member{i.member, s.ImageSize}
	return i, nil
}

// Carried is a stemcell of which only the member image can be read here, and
// where it lies open knows. Nothing is read before Image, whose last Read tells
// whether it has that sha1.
func Carried(name, sha1 string, open func(context.Context) io.ReadCloser) (*Stemcell, error) {
	if !sha1Pattern.MatchString(sha1) {
		return nil, invalid(name, "a stemcell that is carried needs the sha1 of its image, not %.60q", sha1)
	}
	return &Stemcell{Path: name, SHA1: strings.ToLower(sha1), bare: true, carried: open}, nil
}

// reader opens what holds the image.
func (s *Stemcell) reader(ctx context.Context) (*ImageReader, error) {
	i := &ImageReader{ctx: ctx, s: s, sum: sha1.New()}
	if s.carried != nil {
		i.f = s.carried(ctx)
		return i, nil
	}
	f, _, err := openArchive(ctx, s.Path)
	i.f = f
	return i, err
}
