package cert_test

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/cert"
	"github.com/microbosh/microbosh/pkg/messages"
)

func TestAuthority(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	if _, err := cert.OpenAuthority(dir, "ca"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no authority: %v", err)
	}
	first, err := cert.EnsureAuthority(dir, "ca", now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := cert.EnsureAuthority(dir, "ca", now)
	if err != nil || string(again.Certificate()) != string(first.Certificate()) {
		t.Fatalf("a second call made another one: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(first.Certificate())
	server, err := again.Server([]string{"bus.example", "192.0.2.1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := cert.Parse(server.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bus.example", "192.0.2.1", cert.ServerName} {
		if _, err := parsed.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	agent, err := again.Client(cert.AgentName("a1", true), cert.AgentLife, now)
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err = cert.Parse(agent.Certificate); err != nil {
		t.Fatal(err)
	}
	if got := parsed.Subject.String(); got != "CN=a1.bootstrap.agent.bosh-internal,O=Cloud Foundry,C=USA" {
		t.Errorf("the subject is %s", got)
	}
	if _, err := parsed.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err == nil {
		t.Error("an agent may play the server")
	}
	if err := os.Chmod(filepath.Join(dir, "ca.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := cert.OpenAuthority(dir, "ca"); messages.CodeOf(err) != messages.CodeStateInvalid {
		t.Errorf("a key that others can read: %v", err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		id    string
		first bool
	}{
		"a1.agent.bosh-internal": {"a1", false}, "a1.bootstrap.agent.bosh-internal": {"a1", true},
		"default.director.bosh-internal": {}, "agent.bosh-internal": {}, "a1": {},
	} {
		if id, first := cert.ParseAgentName(name); id != want.id || first != want.first {
			t.Errorf("%s: %q %v", name, id, first)
		}
	}
}

func TestExpiring(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	ca, err := cert.EnsureAuthority(dir, "ca", now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Client(cert.RoleName("cpi"), cert.Life, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := cert.Write(dir, "cpi", pair); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Duration]int{0: 0, cert.Life - cert.Soon/2: 1, cert.Life + time.Hour: 1} {
		list, err := cert.Expiring(dir, cert.Soon, now.Add(at))
		if err != nil || len(list) != want {
			t.Errorf("after %s: %v %v, want %d", at, list, err, want)
		}
		for _, e := range list {
			if w := e.Warning(now.Add(at)); w.Hint == "" || e.Name != cert.RoleName("cpi") {
				t.Errorf("the warning is %v", w)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cpi.pem"), []byte("changed by hand"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Expiring(dir, cert.Soon, now); messages.CodeOf(err) != messages.CodeStateInvalid {
		t.Errorf("a file changed by hand: %v", err)
	}
}
