package blobstore_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha512"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/blobstore"
	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// server is a DAV blobstore.
type server struct {
	mu    sync.Mutex // guards blobs and fails
	blobs map[string][]byte
	fails int // requests that get a 503 first
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails > 0 {
		s.fails--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if user, password, _ := r.BasicAuth(); user+password != "agentsecret" && r.URL.Query().Get("signature") != "secret" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodPut {
		s.blobs[r.URL.Path], _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
		return
	}
	blob, ok := s.blobs[r.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = w.Write(blob)
}

func davStore(t *testing.T, password string) (*blobstore.Blobs, *server, string) {
	t.Helper()
	s := &server{blobs: map[string][]byte{}}
	at := httptest.NewServer(s)
	t.Cleanup(at.Close)
	dir, err := home.New(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	store, err := blobstore.New(messages.Blobstore{Provider: "dav", Options: map[string]any{
		"endpoint": at.URL, "user": "agent", "password": password,
	}}, dir)
	if err != nil {
		t.Fatal(err)
	}
	return store, s, at.URL
}

func TestDAV(t *testing.T) {
	t.Parallel()
	store, s, url := davStore(t, "secret")
	path := filepath.Join(t.TempDir(), "x")
	content := archive(t, file("a", "content", 0o644))
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s.fails = 2 // less than it tries
	id, err := store.Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("/%x/%s", sha1.Sum([]byte(id)), id)
	if got := s.blobs["/"+name[1:3]+"/"+id]; !bytes.Equal(got, content) {
		t.Errorf("stored %d bytes, want %d", len(got), len(content))
	}
	multi := fmt.Sprintf("%x;sha512:%x", sha1.Sum(content), sha512.Sum512(content))
	s.fails = 2
	into := filepath.Join(t.TempDir(), "p")
	if err := store.Unpack(t.Context(), blobstore.Source{ID: id, Digest: multi}, into); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(into, "a")); string(got) != "content" {
		t.Error(string(got), err)
	}
	if _, err := store.Fetch(t.Context(), blobstore.Source{ID: "none", Digest: multi}); err == nil || !strings.Contains(err.Error(), "not in the blobstore") {
		t.Error(err)
	}
	signed := url + "/signed/x?signature=secret"
	if err := store.Upload(t.Context(), signed, map[string]string{"X-Kind": "blob"}, path); err != nil {
		t.Fatal(err)
	}
	got, err := store.Fetch(t.Context(), blobstore.Source{URL: signed, Digest: multi})
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(got.Name()); err == nil {
		t.Error("a temporary copy stays")
	}
	for _, bad := range []string{"ftp://x/y?signature=secret", url + "/none?signature=secret", url + "/none?signature=wrongsecret", "http://127.0.0.1:1/?signature=secret"} {
		if _, err := store.Fetch(t.Context(), blobstore.Source{URL: bad, Digest: multi}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestDAVRefusesWhoIsNotKnown(t *testing.T) {
	t.Parallel()
	store, _, _ := davStore(t, "other-secret")
	_, err := store.Fetch(t.Context(), blobstore.Source{ID: "x", Digest: fmt.Sprintf("%040x", 1)})
	if err == nil || !strings.Contains(err.Error(), "refuses") || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestKeepVerifies(t *testing.T) {
	t.Parallel()
	store, _, _ := davStore(t, "secret")
	if err := store.Keep("id", fmt.Sprintf("%x", sha1.Sum([]byte("other"))), strings.NewReader("text")); err == nil {
		t.Error("a wrong digest was taken")
	}
	if _, _, err := store.Open("id"); err == nil {
		t.Error("what was refused is there")
	}
	if err := store.Keep("id", fmt.Sprintf("%x", sha1.Sum([]byte("text"))), strings.NewReader("text")); err != nil {
		t.Fatal(err)
	}
	if _, size, err := store.Open("id"); err != nil || size != 4 {
		t.Error(size, err)
	}
}

func TestPackIsReadByUntar(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(from, "bin"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, "bin", "run"), []byte("x"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("bin/run", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := blobstore.Pack(&out, from); err != nil {
		t.Fatal(err)
	}
	if err := blobstore.Untar(&out, to); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(to, "link")); err != nil || info.Mode().Perm() != 0o750 {
		t.Error(info, err)
	}
}

func FuzzUntar(f *testing.F) {
	f.Add([]byte("\x1f\x8b"))
	f.Add([]byte("no tar"))
	f.Fuzz(func(t *testing.T, data []byte) {
		top := t.TempDir()
		dir := filepath.Join(top, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_ = blobstore.Untar(bytes.NewReader(data), dir)
		if left, _ := os.ReadDir(top); len(left) != 1 {
			t.Errorf("something was written outside: %v", left)
		}
	})
}

func FuzzDigest(f *testing.F) {
	f.Add("sha256:00;da39a3ee5e6b4b0d3255bfef95601890afd80709")
	f.Fuzz(func(t *testing.T, digest string) {
		if blobstore.Verify(strings.NewReader("never"), digest) == nil && !strings.ContainsAny(digest, "0123456789abcdefABCDEF") {
			t.Errorf("%q verifies", digest)
		}
		if name, err := blobstore.DigestName(digest); err == nil && strings.ContainsAny(name, "/.") {
			t.Errorf("%q gives the name %q", digest, name)
		}
	})
}
