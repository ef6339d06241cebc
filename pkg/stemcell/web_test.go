package stemcell_test

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/stemcell"
)

// fickle serves a file and cuts each connection after so many bytes.
type fickle struct {
	path   string
	after  int64 // 0: never
	ranges bool
	asked  atomic.Int32
}

func (f *fickle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.asked.Add(1)
	data, err := os.ReadFile(f.path)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if !f.ranges {
		r.Header.Del("Range")
	}
	w.Header().Set("ETag", `"`+fmt.Sprintf("%x", sha1.Sum(data))+`"`)
	if f.after > 0 {
		w = &cutting{w, f.after}
	}
	http.ServeContent(w, r, "s.tgz", time.Time{}, bytes.NewReader(data))
}

type cutting struct {
	http.ResponseWriter
	left int64
}

func (c *cutting) Write(p []byte) (int, error) {
	if int64(len(p)) <= c.left {
		c.left -= int64(len(p))
		return c.ResponseWriter.Write(p)
	}
	_, _ = c.ResponseWriter.Write(p[:c.left])
	c.ResponseWriter.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func served(t *testing.T, f *fickle) (string, []byte) {
	t.Helper()
	root := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(root) // never fails
	f.path = filepath.Join(t.TempDir(), "s.tgz")
	if err := stemcell.Build(options(f.path, func(w io.Writer) error { _, err := w.Write(root); return err })); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server.URL + "/s.tgz", root
}

// A broken connection is gone on with, from where it was.
func TestWebResumes(t *testing.T) {
	t.Parallel()
	f := &fickle{after: 200_000, ranges: true}
	url, root := served(t, f)
	s, err := stemcell.OpenAt(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if f.asked.Load() < 4 || s.Version != "3.10" {
		t.Errorf("%d requests, the stemcell is %+v", f.asked.Load(), s)
	}
	again, err := stemcell.At(url, s.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := again.Image(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, root) {
		t.Errorf("the image has %d bytes, %v", len(got), err)
	}
}

func TestWebRefuses(t *testing.T) {
	t.Parallel()
	whole, lost := &fickle{}, &fickle{}
	url, _ := served(t, whole)
	gone, _ := served(t, lost)
	lost.path = "/nowhere"
	broken, _ := served(t, &fickle{after: 200_000})
	for name, c := range map[string]struct {
		url    string
		passes bool
		says   string
	}{
		"no such file":           {gone, false, "404"},
		"cut and without ranges": {broken, true, "go on"},
		"nobody listens":         {"http://127.0.0.1:1/s.tgz", true, "refused"},
		"a password":             {"http://user:secret@host/s.tgz", false, "password"},
		"no URL":                 {"http://", false, "URL"},
	} {
		_, err := stemcell.OpenAt(t.Context(), c.url)
		e := messages.AsError(err)
		if err == nil || e.Code != messages.CodeStemcellMissing || e.Retryable != c.passes || !strings.Contains(e.Message, c.says) || strings.Contains(e.Message, "secret") {
			t.Errorf("%s: %v (%+v)", name, err, e)
		}
	}
	other, err := stemcell.At(url, strings.Repeat("0", 40))
	if err != nil {
		t.Fatal(err)
	}
	r, err := other.Image(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); messages.CodeOf(err) != messages.CodeStemcellInvalid {
		t.Errorf("another image than meant: %v", err)
	}
	if _, err := stemcell.At(url, ""); messages.CodeOf(err) != messages.CodeStemcellInvalid {
		t.Errorf("without a sha1: %v", err)
	}
}
