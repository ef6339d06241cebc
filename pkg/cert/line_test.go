package cert_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/cert"
	"github.com/microbosh/microbosh/pkg/messages"
)

func accepts(roots []byte, pair cert.Pair) error {
	pool, between := x509.NewCertPool(), x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	_, rest := pem.Decode(pair.Certificate)
	between.AppendCertsFromPEM(rest)
	parsed, err := cert.Parse(pair.Certificate)
	if err != nil {
		return err
	}
	_, err = parsed.Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, DNSName: "bus.example"})
	return err
}

// A successor is trusted before it signs, and what it signs for a server is
// accepted by who knows its predecessor alone.
func TestLine(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	open := func() cert.Line {
		t.Helper()
		l, err := cert.OpenLine(dir, "ca")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	serve := func() cert.Pair {
		t.Helper()
		pair, err := open().Present.Server([]string{"bus.example"}, now)
		must(err)
		if _, err := tls.X509KeyPair(pair.Certificate, pair.Key); err != nil {
			t.Error(err)
		}
		return pair
	}
	if _, err := cert.EnsureAuthority(dir, "ca", now); err != nil {
		t.Fatal(err)
	}
	first := cert.Trusted(open())
	if old := serve(); accepts(first, old) != nil {
		t.Error("the first authority's own certificate is not accepted")
	}
	must(cert.Announce(dir, "ca", now))
	both := cert.Trusted(open())
	must(cert.Announce(dir, "ca", now)) // makes no second one
	if again := cert.Trusted(open()); string(again) != string(both) || string(both) == string(first) {
		t.Error("what is trusted changes when the same is announced again")
	}
	if !cert.Holds(both, first) || cert.Holds(first, both) {
		t.Error("Holds is wrong about one and both")
	}
	old := serve()
	must(cert.Succeed(dir, "ca"))
	must(cert.Succeed(dir, "ca"))
	if string(cert.Trusted(open())) != string(both) {
		t.Error("what is trusted changes when the successor takes over")
	}
	fresh := serve()
	for what, err := range map[string]error{
		"old by both": accepts(both, old), "new by both": accepts(both, fresh), "new by who knows the old one alone": accepts(first, fresh),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(cert.Retire(dir, "ca"))
	last := serve()
	if alone := cert.Trusted(open()); accepts(alone, last) != nil || accepts(alone, old) == nil || accepts(first, last) == nil {
		t.Error("the old authority is not forgotten")
	}
}

// Whoever writes a pair may die between its two files.
func TestRepair(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	path := filepath.Join(dir, "ca.pem")
	a, err := cert.EnsureAuthority(dir, "ca", now)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := cert.NewAuthority("of before", now)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, other.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := cert.EnsureAuthority(dir, "ca", now)
	if err != nil || string(again.Certificate()) != string(a.Certificate()) {
		t.Fatalf("the key's own certificate does not count: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != string(a.Certificate()) {
		t.Errorf("the certificate stays that of before: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := cert.EnsureAuthority(dir, "ca", now); messages.CodeOf(err) != messages.CodeStateInvalid || messages.AsError(err).Hint == "" {
		t.Errorf("another authority in the place of one whose key is away: %v", err)
	}
}
