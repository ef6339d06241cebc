package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

// TestStemcellOnTheWeb streams a stemcell from a web server whose connections
// break, and refuses one that is not the one that was meant.
func TestStemcellOnTheWeb(t *testing.T) {
	eachTarget(t, func(t *testing.T, cloud target) {
		l := newRig(t, cloud).newLife()
		path, broken := l.stem.Path, 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			if r.Header.Get("Range") == "" {
				broken++
				w = &half{ResponseWriter: w, left: 700}
			}
			http.ServeFile(w, r, path)
		}))
		t.Cleanup(server.Close)
		l.stem.Path, l.stem.Host, l.stem.URL = "", "", server.URL+"/stemcell.tgz"
		good := l.stem.SHA1
		l.stem.SHA1 = strings.Repeat("0", 40)
		said := l.refuse(messages.CodeStemcellInvalid, messages.MethodCreateStemcell, func(id string) any { return lifeSteps()[0].args(l, id) })
		if !strings.Contains(said.Message, good) || said.Hint == "" {
			t.Errorf("the error is %q, its hint %q", said.Message, said.Hint)
		}
		if have := count(l.admin.of(l.uid)); have != "" {
			t.Fatalf("the cloud holds %q", have)
		}
		l.stem.SHA1 = good
		l.liveOne(messages.MethodCreateStemcell)
		sights[messages.MethodCreateStemcell](l, messages.Result{})
		l.liveOne(messages.MethodDeleteStemcell)
		if broken < 2 {
			t.Errorf("the connection broke %d times", broken)
		}
	})
}

// half breaks the connection in the middle of an answer.
type half struct {
	http.ResponseWriter
	left int
}

func (h *half) Write(p []byte) (int, error) {
	if len(p) <= h.left {
		h.left -= len(p)
		return h.ResponseWriter.Write(p)
	}
	_, _ = h.ResponseWriter.Write(p[:h.left])
	_ = http.NewResponseController(h.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}
