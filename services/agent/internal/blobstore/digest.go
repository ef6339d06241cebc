package blobstore

import (
	"crypto/sha1" //nolint:gosec // BOSH's digests are SHA-1 where a release is old
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
)

// Verify reads from to its end and compares it with a multi-digest:
// `[algorithm:]hex` joined by `;`, a bare one is SHA-1. The strongest counts.
func Verify(from io.Reader, digest string) error {
	s, err := newSum(digest)
	if err != nil {
		return err
	}
	if _, err := io.Copy(s, from); err != nil {
		return fmt.Errorf("cannot read it: %w", err)
	}
	return s.check()
}

// sum compares what is written to it with a digest.
type sum struct {
	hash.Hash
	algorithm string
	want      []byte
}

func newSum(digest string) (*sum, error) {
	algorithm, want, h, err := strongest(digest)
	return &sum{h, algorithm, want}, err
}

func (s *sum) check() error {
	got := s.Sum(nil)
	if subtle.ConstantTimeCompare(got, s.want) != 1 {
		return fmt.Errorf("%s mismatch expected=%x actual=%x", s.algorithm, s.want, got)
	}
	return nil
}

// Digests are the SHA-1 and SHA-512 of a file, as hex.
func Digests(path string) (sha1Hex, sha512Hex string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	one, two := sha1.New(), sha512.New() //nolint:gosec // see above
	if _, err := io.Copy(io.MultiWriter(one, two), f); err != nil {
		return "", "", fmt.Errorf("cannot read %s: %w", path, err)
	}
	return hex.EncodeToString(one.Sum(nil)), hex.EncodeToString(two.Sum(nil)), nil
}

// DigestName is a digest as part of a file name.
func DigestName(digest string) (string, error) {
	_, want, _, err := strongest(digest)
	return hex.EncodeToString(want), err
}

func strongest(digest string) (algorithm string, want []byte, sum hash.Hash, err error) {
	for _, part := range strings.Split(digest, ";") {
		name, value, named := strings.Cut(strings.TrimSpace(part), ":")
		if !named {
			name, value = "sha1", name
		}
		var h hash.Hash
		switch strings.ToLower(name) {
		case "sha1":
			h = sha1.New() //nolint:gosec // see above
		case "sha256":
			h = sha256.New()
		case "sha512":
			h = sha512.New()
		default:
			continue
		}
		raw, err := hex.DecodeString(value)
		if err != nil || len(raw) != h.Size() {
			return "", nil, nil, fmt.Errorf("the digest is no %s", name)
		}
		if sum == nil || h.Size() > sum.Size() {
			algorithm, want, sum = strings.ToLower(name), raw, h
		}
	}
	if sum == nil {
		return "", nil, nil, errors.New("there is no digest that can be verified (sha1, sha256, sha512)")
	}
	return algorithm, want, sum, nil
}
