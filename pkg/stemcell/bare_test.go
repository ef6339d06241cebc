package stemcell_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/microbosh/microbosh/pkg/stemcell"
)

func TestOpenImage(t *testing.T) {
	t.Parallel()
	whole, err := stemcell.Archive([]stemcell.File{{Path: "root.img", Mode: 0o600, Data: bytes.Repeat([]byte("root"), 100_000)}})
	if err != nil {
		t.Fatal(err)
	}
	other, err := stemcell.Archive([]stemcell.File{{Path: "other", Mode: 0o600, Data: []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	var empty bytes.Buffer
	if err := gzip.NewWriter(&empty).Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data        []byte
		opens, ends bool
	}{
		"whole": {whole, true, true}, "cut": {whole[:len(whole)-20], true, false}, "another member": {other, false, false},
		"empty": {empty.Bytes(), false, false}, "no archive": {[]byte("hello"), false, false},
	} {
		path := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := stemcell.OpenImage(path)
		if (err == nil) != c.opens {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		r, err := s.Image(t.Context())
		if err == nil {
			var n int64
			n, err = io.Copy(io.Discard, r)
			r.Close()
			if c.ends && n != 400_000 {
				t.Errorf("%s: %d bytes", name, n)
			}
		}
		if (err == nil) != c.ends {
			t.Errorf("%s: read with %v", name, err)
		}
	}
}
