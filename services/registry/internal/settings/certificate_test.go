package settings_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/cert"
	"github.com/microbosh/microbosh/pkg/messages"
)

// beginTLS is a house whose bus speaks TLS, as it does when others than this
// machine reach it.
func beginTLS(t *testing.T) *house {
	t.Helper()
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	ca, err := cert.EnsureAuthority(keys, cert.PlaneAuthority, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bus.CAFile(keys), ca.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	return beginIn(t, dir)
}

// bosh logs in as BOSH's agents do: with a certificate and no name.
func (h *house) bosh(t *testing.T, pair cert.Pair, o bus.Options) (*bus.Conn, <-chan struct{}, error) {
	t.Helper()
	bundle, err := os.ReadFile(bus.CAFile(filepath.Join(h.dir, "keys")))
	if err != nil {
		t.Fatal(err)
	}
	return h.boshTrusting(t, bundle, pair, o)
}

// boshTrusting is bosh of somebody who trusts only what the bundle holds.
func (h *house) boshTrusting(t *testing.T, bundle []byte, pair cert.Pair, o bus.Options) (*bus.Conn, <-chan struct{}, error) {
	t.Helper()
	dialer := &cutDialer{lost: make(chan struct{})}
	o.URL, o.Dialer, o.Wait = h.bus(t), dialer, time.Second
	o.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	o.TLS.RootCAs.AppendCertsFromPEM(bundle)
	if pair.Certificate != nil {
		both, err := tls.X509KeyPair(pair.Certificate, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		o.TLS.Certificates = []tls.Certificate{both}
	}
	c, err := bus.Connect(within(t), o)
	if err == nil {
		t.Cleanup(c.Close)
	}
	return c, dialer.lost, err
}

func pairOf(id messages.Identity) cert.Pair {
	return cert.Pair{Certificate: []byte(id.Certificate), Key: []byte(id.PrivateKey)}
}

// BOSH's convention: the common name says who it is. It is in force as soon as
// the identity is made, and gone when that is revoked; nothing is reloaded.
func TestCertificates(t *testing.T) {
	t.Parallel()
	h := beginTLS(t)
	c := h.controller(t, h.bus(t))
	authority, err := cert.OpenAuthority(filepath.Join(h.dir, "keys"), cert.AgentAuthority)
	if err != nil {
		t.Fatal(err)
	}
	stranger, _, err := cert.NewAuthority("stranger", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	sign := func(by *cert.Authority, name string, life time.Duration) cert.Pair {
		t.Helper()
		pair, err := by.Client(name, life, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	refused := func(what string, pair cert.Pair, o bus.Options) {
		t.Helper()
		_, _, err := h.bosh(t, pair, o)
		switch messages.CodeOf(err) {
		case messages.CodeBusDenied:
		case messages.CodeBusUnreachable: // the server hung up before the alert was read
		default:
			t.Errorf("%s: %v, want bus_denied", what, err)
		}
	}
	early := sign(authority, cert.AgentName("a1", false), cert.AgentLife)
	refused("before the identity is made", early, bus.Options{})

	first, err := c.create(t, "a1")
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err := cert.Parse([]byte(first.Certificate)); err != nil || parsed.Subject.String() != "CN=a1.bootstrap.agent.bosh-internal,O=Cloud Foundry,C=USA" {
		t.Errorf("the subject is %v, %v", parsed.Subject, err)
	}
	if _, err := c.create(t, "a2"); err != nil {
		t.Fatal(err)
	}
	agent, lost, err := h.bosh(t, pairOf(first), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for subject, may := range map[string]bool{messages.AgentSubject("a1"): true, messages.AgentSubject("a2"): false, "agent.*": false, "director.>": false, "hm.>": false, "_INBOX.>": false} {
		_, err := agent.Subscribe(within(t), subject, func(bus.Msg) {})
		if (err == nil) != may {
			t.Errorf("a1 may subscribe to %s: %v", subject, err)
		}
	}
	refused("no certificate and no name", cert.Pair{}, bus.Options{})
	refused("an expired certificate", sign(authority, cert.AgentName("a1", false), -time.Minute), bus.Options{})
	refused("another authority's certificate", sign(stranger, cert.AgentName("a1", false), cert.AgentLife), bus.Options{})
	for _, name := range []string{cert.DirectorName, cert.HealthMonitorName} {
		refused(name+" by who signs for agents", sign(authority, name, cert.AgentLife), bus.Options{})
		refused(name+" by a stranger", sign(stranger, name, cert.AgentLife), bus.Options{})
	}
	refused("a name that is nobody's", sign(authority, "default.nobody.bosh-internal", cert.AgentLife), bus.Options{})
	refused("an agent that nobody made", sign(authority, cert.AgentName("a3", false), cert.AgentLife), bus.Options{})
	refused("one agent's certificate with another's name", pairOf(first), bus.Options{User: "a2", Password: "x"})
	refused("a wrong password beside the own certificate", pairOf(first), bus.Options{User: "a1", Password: "x"})

	lasting, err := c.lasting(t, "a1")
	if err != nil {
		t.Fatal(err)
	}
	_, cut, err := h.bosh(t, pairOf(lasting), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	gone := func(what string, lost <-chan struct{}) {
		t.Helper()
		select {
		case <-lost:
		case <-within(t).Done():
			t.Errorf("%s stays", what)
		}
	}
	gone("who came with the first certificate", lost)
	refused("the first certificate after the swap", pairOf(first), bus.Options{})
	if err := c.revoke(t, "a1"); err != nil {
		t.Fatal(err)
	}
	gone("a revoked agent", cut)
	refused("a revoked agent that reconnects", pairOf(lasting), bus.Options{})
}

// Both authorities get successors while everything runs: an agent that was made
// before and knows only the old ones comes back, a new one is signed for by the
// new authority, and nobody is started again.
func TestSuccession(t *testing.T) {
	t.Parallel()
	h := beginTLS(t)
	c := h.controller(t, h.bus(t))
	keys := filepath.Join(h.dir, "keys")
	early, err := c.create(t, "a1")
	if err != nil {
		t.Fatal(err)
	}
	each := func(step func(name string) error) {
		t.Helper()
		var lines []cert.Line
		for _, name := range []string{cert.PlaneAuthority, cert.AgentAuthority} {
			err := step(name)
			line, lineErr := cert.OpenLine(keys, name)
			if err != nil || lineErr != nil {
				t.Fatal(err, lineErr)
			}
			lines = append(lines, line)
		}
		if err := embed.WriteBundle(keys, lines...); err != nil {
			t.Fatal(err)
		}
		pair, err := lines[0].Present.Server([]string{"127.0.0.1"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := cert.Write(keys, "server", pair); err != nil {
			t.Fatal(err)
		}
	}
	come := func(what string, id messages.Identity) {
		t.Helper()
		conn, _, err := h.boshTrusting(t, []byte(id.CA), pairOf(id), bus.Options{})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		conn.Close()
	}
	each(func(name string) error { return cert.Announce(keys, name, time.Now()) })
	come("an earlier agent after the first step", early)
	between, err := c.create(t, "a2")
	if err != nil {
		t.Fatal(err)
	}
	each(func(name string) error { return cert.Succeed(keys, name) })
	late, err := c.create(t, "a3")
	if err != nil {
		t.Fatal(err)
	}
	come("an earlier agent after the second step", early)
	come("one that was made between the steps", between)
	come("one that was made after them", late)
	line, err := cert.OpenLine(keys, cert.AgentAuthority)
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]messages.Identity{"a2": between, "a3": late} {
		parsed, err := cert.Parse([]byte(id.Certificate))
		if err != nil {
			t.Fatal(err)
		}
		if line.Present.Signed(parsed) != (name == "a3") {
			t.Errorf("the new authority signed for %s: %v", name, name != "a3")
		}
	}
}

// BOSH's own Director and health monitor come with what the plane's authority
// signed for them, and may do what a Director writes for itself.
func TestDirectorAndHealthMonitor(t *testing.T) {
	t.Parallel()
	h := beginTLS(t)
	c := h.controller(t, h.bus(t))
	plane, err := cert.OpenAuthority(filepath.Join(h.dir, "keys"), cert.PlaneAuthority)
	if err != nil {
		t.Fatal(err)
	}
	come := func(name string) *bus.Conn {
		t.Helper()
		pair, err := plane.Client(name, cert.Life, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		conn, _, err := h.bosh(t, pair, bus.Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return conn
	}
	first, err := c.create(t, "a1")
	if err != nil {
		t.Fatal(err)
	}
	agent, _, err := h.bosh(t, pairOf(first), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	director, monitor := come(cert.DirectorName), come(cert.HealthMonitorName)
	heard := make(chan string, 8)
	listen := func(conn *bus.Conn, subject string, may bool) {
		t.Helper()
		_, err := conn.Subscribe(within(t), subject, func(m bus.Msg) { heard <- string(m.Data) })
		if may != (err == nil) {
			t.Errorf("may listen to %s: %v", subject, err)
		}
	}
	say := func(conn *bus.Conn, subject, text string, arrives bool) {
		t.Helper()
		for _, send := range []struct {
			conn          *bus.Conn
			subject, text string
		}{{conn, subject, text}, {director, messages.DirectorAlertSubject, "mark"}} {
			if err := send.conn.Publish(send.subject, []byte(send.text)); err != nil {
				t.Fatal(err)
			}
			if err := send.conn.Flush(within(t)); err != nil {
				t.Fatal(err)
			}
		}
		for want := map[bool]int{true: 2, false: 1}[arrives]; want > 0; want-- {
			select {
			case got := <-heard:
				if got != text && got != "mark" || !arrives && got == text {
					t.Errorf("on %s %q is heard", subject, got)
				}
			case <-within(t).Done():
				t.Fatalf("%q is not heard on %s", text, subject)
			}
		}
	}
	listen(agent, messages.AgentSubject("a1"), true)
	listen(director, messages.DirectorPrefix+">", true)
	listen(monitor, messages.HeartbeatPrefix+"*", true)
	listen(monitor, messages.DirectorAlertSubject, true)
	for _, subject := range []string{messages.AgentSubject("a1"), "hm.>", "bosh.v1.>", ">"} {
		listen(director, subject, false)
	}
	for _, subject := range []string{messages.AgentSubject("a1"), messages.DirectorPrefix + ">", "bosh.v1.>", "hm.>"} {
		listen(monitor, subject, false)
	}
	say(director, messages.AgentSubject("a1"), "a request", true)
	say(agent, messages.ReplySubject("d", "a1", "r"), "a reply", true)
	say(agent, messages.HeartbeatSubject("a1"), "a heartbeat", true)
	say(director, messages.HeartbeatSubject("a1"), "a director's heartbeat", false)
	say(monitor, messages.AgentSubject("a1"), "a health monitor's request", false)
	say(monitor, messages.HeartbeatSubject("a1"), "a health monitor's heartbeat", false)
	say(monitor, messages.DirectorAlertSubject, "a health monitor's alert", false)
}
