package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// authority issues what a Director issues: a server's certificate and those of
// its clients, who are known by their subjects.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  string
}

// subjectOf is how BOSH's users are called.
func subjectOf(user string) string {
	kind := user + ".bosh-internal"
	if user == "director" || user == "hm" {
		return "C=USA, O=Cloud Foundry, CN=default." + kind
	}
	return "C=USA, O=Cloud Foundry, CN=" + user + ".agent.bosh-internal"
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bosh-ca"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// issue makes a certificate and its key, in PEM.
func (a *authority) issue(t *testing.T, name pkix.Name, addresses ...net.IP) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: name, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: addresses,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}))
}

func (a *authority) pair(t *testing.T, user string) (cert, key string) {
	t.Helper()
	_, common, _ := strings.Cut(subjectOf(user), "CN=")
	return a.issue(t, pkix.Name{Country: []string{"USA"}, Organization: []string{"Cloud Foundry"}, CommonName: common})
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func (a *authority) client(t *testing.T, user string) *tls.Config {
	t.Helper()
	cert, key := a.pair(t, user)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{RootCAs: a.pool(), Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

// newTLSDirector's server asks for certificates and knows its users by them, as
// BOSH's does (tls.verify_and_map).
func newTLSDirector(t *testing.T, a *authority, agents ...string) *director {
	t.Helper()
	cert, key := a.issue(t, pkix.Name{Country: []string{"USA"}, Organization: []string{"Cloud Foundry"}, CommonName: "default.nats.bosh-internal"}, net.IPv4(127, 0, 0, 1))
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return newDirectorWith(t, &server.Options{
		Host: "127.0.0.1", TLS: true, TLSVerify: true, TLSMap: true, TLSTimeout: 30,
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool(), MinVersion: tls.VersionTLS12,
		},
	}, a, agents...)
}

// tlsVM starts an agent whose settings bear a certificate where today's have it.
func (d *director) tlsVM(scheme, ca, cert, key string) (base string) {
	d.Helper()
	base = filepath.Join(d.TempDir(), "var", "vcap")
	if err := os.MkdirAll(filepath.Join(base, "bosh"), 0o700); err != nil {
		d.Fatal(err)
	}
	_, host, _ := strings.Cut(d.url, "://")
	settings, err := json.Marshal(map[string]any{
		"agent_id": "agent-a", "vm": map[string]string{"name": "vm"}, "networks": map[string]any{},
		"blobstore": map[string]any{"provider": "local", "options": map[string]string{"blobstore_path": "/var/vcap/blobs"}},
		"disks":     map[string]any{"persistent": map[string]string{}},
		"env": map[string]any{"bosh": map[string]any{"mbus": map[string]any{
			"urls": []string{scheme + "://" + host}, "cert": map[string]string{"ca": ca, "certificate": cert, "private_key": key},
		}}},
	})
	if err != nil {
		d.Fatal(err)
	}
	d.start(base, string(settings))
	return base
}

// With a certificate an agent comes to a bus that knows it by that, whatever the
// URL's scheme; then it takes a new one, as short-lived credentials are rotated.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"nats", "tls"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			d := newTLSDirector(t, a, "agent-a")
			cert, key := a.pair(t, "agent-a")
			base := d.tlsVM(scheme, a.pem, cert, key)
			d.hear("hm.agent.heartbeat.agent-a")
			if r := d.ask("agent-a", "ping"); string(r.Value) != `"pong"` {
				t.Errorf("got %+v", r)
			}
			fresh, freshKey := a.pair(t, "agent-a")
			r := d.ask("agent-a", "update_settings", map[string]any{"mbus": map[string]any{"cert": map[string]string{"ca": a.pem, "certificate": fresh, "private_key": freshKey}}})
			if string(r.Value) != `"ok"` {
				t.Errorf("got %+v", r)
			}
			d.hear("hm.agent.heartbeat.agent-a")
			if r := d.ask("agent-a", "ping"); string(r.Value) != `"pong"` {
				t.Errorf("after the rotation: got %+v", r)
			}
			log, err := os.ReadFile(agentLog(base))
			if err != nil || strings.Contains(string(log), "PRIVATE KEY") {
				t.Errorf("the log holds a key: %v\n%s", err, log)
			}
			d.noViolations()
		})
	}
}

// An agent does not come to a bus that it cannot trust, nor without a
// certificate to one that asks for it, and says why.
func TestTLSThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	cert, key := a.pair(t, "agent-a")
	foreign, foreignKey := other.pair(t, "agent-a")
	for name, c := range map[string]struct{ ca, cert, key, says string }{
		"another CA":            {other.pem, cert, key, "certificate signed by unknown authority"},
		"no certificate":        {a.pem, "", "", "certificate required"},
		"another's certificate": {a.pem, foreign, foreignKey, "tls: "},
		"no CA":                 {"", cert, key, "certificate signed by unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newTLSDirector(t, a, "agent-a")
			base := d.tlsVM("tls", c.ca, c.cert, c.key)
			look := time.NewTicker(20 * time.Millisecond)
			defer look.Stop()
			for limit := time.After(time.Minute); ; {
				log, err := os.ReadFile(agentLog(base))
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(log), "the bus does not take the agent in yet") && strings.Contains(string(log), c.says) {
					break
				}
				select {
				case <-look.C:
				case <-limit:
					t.Fatalf("the log does not say %q:\n%s", c.says, log)
				}
			}
			if n := len(d.beats); n > 0 {
				t.Errorf("%d messages came", n)
			}
		})
	}
}
