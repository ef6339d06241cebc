package service_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/tunnel/tunneltest"
)

// walled is a lab whose VM reaches nothing: its agent says nothing until it has
// read its settings at its own loopback address.
type walled struct {
	*lab
	sshd     string // address
	port     int    // of the registry, on the VM
	host     string // private host key
	known    string // its public half
	private  string
	public   string
	registry *httptest.Server
}

func newWalled(t *testing.T) *walled {
	t.Helper()
	w := &walled{lab: newLab(t), port: tunneltest.FreePort(t)}
	w.private, w.public = tunneltest.KeyPair(t)
	w.host, w.known = tunneltest.KeyPair(t)
	ssh := tunneltest.FreePort(t)
	w.sshd = fmt.Sprintf("127.0.0.1:%d", ssh)
	w.registry = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.deaf = false
	}))
	t.Cleanup(w.registry.Close)
	at, err := json.Marshal(map[string]string{"url": w.registry.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(w.keys), "registry.json"), at, 0o600); err != nil {
		t.Fatal(err)
	}
	w.tunnelKey, w.deaf = w.private, true
	w.openstack = fmt.Sprintf(", private_key: k, ssh_port: %d}\n    registry: {endpoint: 'http://a:marker-registry@localhost:%d'", ssh, w.port)
	return w
}

// readSettings is what an agent does at its start, once its port leads somewhere.
func (w *walled) readSettings() {
	for w.t.Context().Err() == nil {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/instances/x/settings", w.port))
		if err == nil {
			resp.Body.Close()
			return
		}
	}
}

// A VM that reaches nothing comes up through the tunnel, also when the process
// that met it ends before it came, and nobody sees the private key.
func TestTunnel(t *testing.T) {
	t.Parallel()
	w := newWalled(t)
	tunneltest.Serve(t, w.sshd, w.host, w.public)
	stop := w.orchestrator()
	run := w.send(messages.VerbCreate, "s1", 4096)
	secret := strings.Split(w.private, "\n")[1]
	recorded := ""
	done := w.story(run, func(fact string, e messages.Envelope) {
		raw, err := json.Marshal(e)
		if err != nil || strings.Contains(string(raw), secret) {
			t.Errorf("the private key is in the journal, or: %v", err)
		}
		switch fact {
		case messages.FactStepDone:
			var d messages.StepDone
			if err := e.Into(&d); err != nil {
				t.Fatal(err)
			}
			if d.Step == "open_tunnel" {
				var out messages.OpenTunnelOutputs
				if err := json.Unmarshal(d.Outputs, &out); err != nil {
					t.Fatal(err)
				}
				recorded = out.HostKey
			}
		case messages.FactStepIntended:
			var i messages.StepIntended
			if err := e.Into(&i); err != nil {
				t.Fatal(err)
			}
			if i.Step == "wait_agent" && stop != nil {
				stop()
				stop = nil
				w.orchestrator()
				go w.readSettings()
			}
		}
	})
	if done.Outcome != messages.OutcomeSucceeded || recorded != w.known {
		t.Errorf("the run ended as %+v, with the host key %q, want %q", done, recorded, w.known)
	}
	var args messages.CreateVMArgs
	if err := json.Unmarshal(w.args[messages.MethodCreateVM], &args); err != nil || args.RegistryPort != w.port {
		t.Errorf("create_vm was told the port %d (%v), want %d", args.RegistryPort, err, w.port)
	}
	w.once()
}

// Whoever answers with another host key gets no tunnel, and the run says so.
func TestTunnelToAnotherHost(t *testing.T) {
	t.Parallel()
	w := newWalled(t)
	stop := tunneltest.Serve(t, w.sshd, w.host, w.public)
	end := w.orchestrator()
	run := w.send(messages.VerbCreate, "s1", 4096)
	done := w.story(run, func(fact string, e messages.Envelope) {
		if fact != messages.FactStepIntended || end == nil {
			return
		}
		var i messages.StepIntended
		if err := e.Into(&i); err != nil {
			t.Fatal(err)
		}
		if i.Step == "wait_agent" {
			end()
			end = nil
			stop()
			other, _ := tunneltest.KeyPair(t)
			tunneltest.Serve(t, w.sshd, other, w.public)
			w.orchestrator()
		}
	})
	if done.Outcome != messages.OutcomeFailed || done.Error == nil || done.Error.Code != messages.CodeHostKeyChanged {
		t.Errorf("the run ended as %+v (%v)", done, done.Error)
	}
}

// An agent that comes without a tunnel needs none, and its host key is not
// trusted.
func TestTunnelNotNeeded(t *testing.T) {
	t.Parallel()
	w := newWalled(t)
	w.deaf = false
	w.orchestrator()
	began := time.Now()
	w.want(w.send(messages.VerbCreate, "s1", 4096), messages.OutcomeSucceeded)
	t.Logf("took %s without an sshd", time.Since(began))
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.cloud) != 3 {
		t.Errorf("%d things in the cloud, want 3", len(w.cloud))
	}
}
