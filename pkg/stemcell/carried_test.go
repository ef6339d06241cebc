package stemcell_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
)

// What Packed gives is what Carried takes, and the image is the archive's own.
func TestCarried(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.tgz")
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	if err := stemcell.Build(options(path, func(w io.Writer) error { _, err := w.Write(content); return err })); err != nil {
		t.Fatal(err)
	}
	s, err := stemcell.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Packed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	packed, err := io.ReadAll(r)
	if err != nil || int64(len(packed)) != s.ImageSize {
		t.Fatalf("packed %d of %d bytes: %v", len(packed), s.ImageSize, err)
	}
	image := func(sha1 string, packed []byte) ([]byte, error) {
		c, err := stemcell.Carried("micro.x", sha1, func(context.Context) io.ReadCloser { return io.NopCloser(bytes.NewReader(packed)) })
		if err != nil {
			return nil, err
		}
		i, err := c.Image(t.Context())
		if err != nil {
			return nil, err
		}
		defer i.Close()
		return io.ReadAll(i)
	}
	if got, err := image(s.SHA1, packed); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the image has %d of %d bytes: %v", len(got), len(content), err)
	}
	for name, bad := range map[string][]byte{"cut": packed[:len(packed)-1], "longer": append(bytes.Clone(packed), 0), "empty": {}} {
		if _, err := image(s.SHA1, bad); messages.CodeOf(err) != messages.CodeStemcellInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := image("", packed); messages.CodeOf(err) != messages.CodeStemcellInvalid {
		t.Errorf("without a sha1: %v", err)
	}
}

// An archive that is replaced after it was verified is not passed on in silence.
func TestPackedReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, other := filepath.Join(dir, "s.tgz"), filepath.Join(dir, "o.tgz")
	for p, content := range map[string]string{path: "one", other: "two"} {
		if err := stemcell.Build(options(p, func(w io.Writer) error { _, err := io.WriteString(w, content); return err })); err != nil {
			t.Fatal(err)
		}
	}
	s, err := stemcell.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	r, err := s.Packed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); messages.CodeOf(err) != messages.CodeStemcellInvalid || errors.Is(err, io.EOF) {
		t.Errorf("read another's image: %v", err)
	}
}
