package stemcell_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
)

// zeros is that many zero bytes.
type zeros int64

func (z *zeros) Read(p []byte) (int, error) {
	if *z == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), int64(*z))
	clear(p[:n])
	*z -= zeros(n)
	return int(n), nil
}

func options(path string, root func(io.Writer) error) stemcell.Options {
	return stemcell.Options{Output: path, Name: "s", Version: "3.10", Formats: []string{"openstack-raw"}, Root: root}
}

// Not parallel: it measures what the whole process allocates.
func TestConstantMemory(t *testing.T) {
	const size = 64 << 20
	path := filepath.Join(t.TempDir(), "s.tgz")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := stemcell.Build(options(path, func(w io.Writer) error {
		z := zeros(size)
		_, err := io.Copy(w, &z)
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	s, err := stemcell.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Image(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	runtime.ReadMemStats(&after)
	if err != nil || n != size {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("%d bytes were allocated for an image of %d", used, size)
	}
	if s.Version != "3.10" {
		t.Errorf("the version became %s", s.Version)
	}
}

func TestImageStops(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.tgz")
	noise := make([]byte, 4<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	if err := stemcell.Build(options(path, func(w io.Writer) error { _, err := w.Write(noise); return err })); err != nil {
		t.Fatal(err)
	}
	s, err := stemcell.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.Image(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if r, err := s.Image(ctx); err == nil {
		r.Close()
		t.Error("began though the context had ended")
	}
}

// An archive that is replaced between Open and the upload must not pass.
func TestImageIsVerifiedWhileItStreams(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "s.tgz")
	write := func(path, root string) {
		if err := stemcell.Build(options(path, func(w io.Writer) error { _, err := io.WriteString(w, root); return err })); err != nil {
			t.Fatal(err)
		}
	}
	write(path, strings.Repeat("good", 1000))
	s, err := stemcell.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func() (string, error) {
		r, err := s.Image(t.Context())
		if err != nil {
			return "", err
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		return string(b), err
	}
	if got, err := read(); err != nil || got != strings.Repeat("good", 1000) {
		t.Errorf("read %.20q, %v", got, err)
	}
	write(path, strings.Repeat("evil", 1000))
	if _, err := read(); messages.CodeOf(err) != messages.CodeStemcellInvalid || !strings.Contains(err.Error(), s.SHA1) {
		t.Errorf("a replaced archive: %v", err)
	}
	write(path, strings.Repeat("good", 1000))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); messages.CodeOf(err) != messages.CodeStemcellInvalid {
		t.Errorf("a cut archive: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); messages.CodeOf(err) != messages.CodeStemcellMissing {
		t.Errorf("a removed archive: %v", err)
	}
}

func TestImagesWithoutRoot(t *testing.T) {
	t.Parallel()
	inner := func(name string) string {
		var b bytes.Buffer
		gz := gzip.NewWriter(&b)
		w := tar.NewWriter(gz)
		if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}), w.Close(), gz.Close()); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for name, c := range map[string]struct{ image, want string }{
		"no tar.gz": {"a disk", "the image is no tar.gz with root.img"}, "light": {"", "the image is no tar.gz with root.img"},
		"other": {inner("image.vmdk"), "Root image is missing from stemcell archive"}, "root": {inner("./root.img"), ""},
	} {
		sum := sha1.Sum([]byte(c.image))
		s, err := stemcell.Open(archive(t, member{name: "stemcell.MF", body: "name: s\nversion: 1\nsha1: " + hex.EncodeToString(sum[:])}, member{name: "image", body: c.image}))
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Image(t.Context())
		if (err == nil) != (c.want == "") || (err != nil && (!strings.Contains(err.Error(), c.want) || messages.CodeOf(err) != messages.CodeStemcellInvalid)) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			r.Close()
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("no gzip"))
	for _, path := range []string{
		archive(f, member{name: "image", body: "x"}), sparse(f),
		archive(f, member{name: "./stemcell.MF", body: "name: s\nversion: 1\nsha1: 11f6ad8ec52a2984abaafd7c3b516503785c2072\n"}, member{name: "image", body: "x"}, member{name: "apply_spec.yml", body: "{}"}),
	} {
		seed, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "f.tgz")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := stemcell.Open(path)
		if err == nil {
			var r io.ReadCloser
			if r, err = s.Image(t.Context()); err == nil {
				_, err = io.Copy(io.Discard, r)
				r.Close()
			}
		}
		if err != nil && messages.CodeOf(err) != messages.CodeStemcellInvalid {
			t.Errorf("code %s: %v", messages.CodeOf(err), err)
		}
	})
}
