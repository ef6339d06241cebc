package conformance_test

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// spoilt is what happens to the next answers to one kind of call.
type spoilt struct {
	Method, End string // of the path
	Times       int
	Effect      bool // the call reaches the cloud all the same
	Status      int  // 0: the answer is cut in half
}

// TestSpoiltAnswers has the cloud answer with errors of its own and with half of
// what it should say. What passes must leave exactly one of everything; what
// does not must end as an error that tells what the cloud said, with nothing
// left.
func TestSpoiltAnswers(t *testing.T) {
	eachTarget(t, func(t *testing.T, cloud target) {
		l := newRig(t, cloud).newLife()
		for _, s := range []spoilt{
			{"POST", "/volumes", 1, false, 500}, {"POST", "/volumes", 1, true, 500}, {"POST", "/volumes", 1, true, 0},
			{"GET", "/volumes/detail", 2, false, 500}, {"GET", "/volumes/detail", 1, true, 0}, {"GET", "/volumes/*", 1, true, 0},
		} {
			l.wire.spoil(s)
			l.liveDisk(messages.MethodCreateDisk, "1 volume")
			l.wire.spoil(spoilt{"DELETE", "/volumes/*", 1, s.Effect, s.Status})
			l.liveDisk(messages.MethodDeleteDisk, "")
		}
		l.deadline = 3 * time.Second
		const nowhere = "00000000-0000-4000-8000-000000000000"
		for _, s := range []spoilt{{"GET", "/volumes/*", 1000, false, 500}, {"GET", "/volumes/*", 1000, true, 500}} {
			l.wire.spoil(s)
			said := l.refuse(messages.CodeDeadline, messages.MethodDeleteDisk, messages.DeleteDiskArgs{DiskCID: nowhere, Owner: l.diskStep})
			if !strings.Contains(said.Message, "Unexpected API Error") || said.Hint == "" {
				t.Errorf("%+v: the error is %q, its hint %q", s, said.Message, said.Hint)
			}
			l.wire.spoil(spoilt{"GET", "/servers/*", 1, s.Effect, s.Status})
			if err := l.ask(messages.SvcHasVM, messages.VMArgs{VMCID: nowhere}, new(bool)); messages.CodeOf(err) != messages.CodeCloudTransient {
				t.Errorf("%+v: has_vm says %v", s, err)
			}
			l.wire.spoil(spoilt{})
		}
		if have := count(l.admin.of(l.uid)); have != "" {
			t.Errorf("the cloud holds %q", have)
		}
	})
}

// liveDisk makes a disk, or removes it.
func (l *life) liveDisk(method, want string) {
	l.t.Helper()
	id := l.next(method)
	if method == messages.MethodDeleteDisk {
		l.must(method, id, messages.DeleteDiskArgs{DiskCID: l.disk, Owner: l.diskStep})
	} else {
		l.disk, l.diskStep = l.must(method, id, messages.CreateDiskArgs{SizeMiB: 1024, Tags: l.tags(id)}), id
	}
	if have := count(l.admin.of(l.uid)); have != want {
		l.t.Fatalf("after %s the cloud holds %q, want %q", id, have, want)
	}
}

// TestTLS reaches the cloud over TLS whose authority nobody knows, and then is
// told.
func TestTLS(t *testing.T) {
	eachTarget(t, func(t *testing.T, cloud target) {
		r := newRig(t, cloud)
		front := httptest.NewTLSServer(r.wire)
		t.Cleanup(front.Close)
		front.Config.ErrorLog = nil
		auth := strings.Replace(r.wire.through(cloud.AuthURL), r.wire.server.URL, front.URL, 1)
		r.override = map[string]any{"auth_url": auth}
		said := r.refuse(messages.CodeCloudInvalid, messages.MethodCreateDisk, func(id string) any { return messages.CreateDiskArgs{SizeMiB: 1024, Tags: r.tags(id)} })
		if !strings.Contains(said.Message, "certificate") || !strings.Contains(said.Hint, "ca_cert") {
			t.Errorf("the error is %q, its hint %q", said.Message, said.Hint)
		}
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
		for name, options := range map[string]map[string]any{
			"with its certificate": {"ca_cert": string(ca)}, "without looking": {"ssl_verify_peer": false},
		} {
			r.override = map[string]any{"auth_url": auth, "connection_options": options}
			var has bool
			if err := r.ask(messages.SvcHasVM, messages.VMArgs{VMCID: "00000000-0000-4000-8000-000000000000"}, &has); err != nil || has {
				t.Errorf("%s: has_vm says %v %v", name, has, err)
			}
		}
		r.override = map[string]any{"auth_url": auth, "connection_options": map[string]any{"ca_cert": "no certificate"}}
		r.refuse(messages.CodeManifestInvalid, messages.MethodCreateDisk, func(id string) any { return messages.CreateDiskArgs{SizeMiB: 1024, Tags: r.tags(id)} })
	})
}

// spoil arms the wire; {} disarms it.
func (w *wire) spoil(s spoilt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spoilt = s
}

// spoils tells what to do to the answer to a call.
func (w *wire) spoils(method, path string) (spoilt, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.spoilt.Times == 0 || method != w.spoilt.Method || !strings.HasSuffix(shorten(path), w.spoilt.End) {
		return spoilt{}, false
	}
	w.spoilt.Times--
	return w.spoilt, true
}

// apply writes the spoilt answer.
func (s spoilt) apply(rw http.ResponseWriter, status int, answer []byte) {
	rw.Header().Set("Content-Type", "application/json")
	if s.Status == 0 {
		rw.WriteHeader(status)
		_, _ = rw.Write(answer[:len(answer)/2]) // the CPI may be gone
		return
	}
	body, err := json.Marshal(tree{"computeFault": tree{"code": s.Status, "message": "Unexpected API Error."}})
	if err != nil {
		panic(err)
	}
	rw.WriteHeader(s.Status)
	_, _ = rw.Write(body) // the CPI may be gone
}
