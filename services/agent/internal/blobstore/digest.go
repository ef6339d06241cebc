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
	"strings"
)

// Verify reads from to its end and compares it with a multi-digest:
// `[algorithm:]hex` joined by `;`, a bare one is SHA-1. The strongest counts.
func Verify(from io.Reader, digest string) error {
	algorithm, want, sum, err := strongest(digest)
	if err != nil {
		return err
	}
	if _, err := io.Copy(sum, from); err != nil {
		return fmt.Errorf("cannot read it: %w", err)
	}
	got := sum.Sum(nil)
	if subtle.ConstantTimeCompare(got, want) != 1 {
		return fmt.Errorf("%s mismatch expected=%x actual=%x", algorithm, want, got)
	}
	return nil
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
