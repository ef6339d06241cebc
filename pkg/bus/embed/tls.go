package embed

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"github.com/google/renameio/v2"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/cert"
	"github.com/microbosh/microbosh/pkg/messages"
)

// ServerPair is the name of the server's certificate and key in a folder, as
// package cert reads them.
const ServerPair = "server"

const tlsTimeout = 5 // seconds

// encrypted tells whether the bus speaks TLS: always when others than this
// machine can reach it, and from then on for good, because its keys folder says
// so to everybody who has a copy. On loopback alone nobody listens but root,
// and plain text is what `nats` needs no flag for.
func encrypted(keys, host string) bool {
	if _, err := os.Stat(bus.CAFile(keys)); err == nil {
		return true
	}
	ip := net.ParseIP(host)
	return host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// encrypt makes the authorities and the server's certificate that are missing,
// or end soon.
func encrypt(keys, host string, o *server.Options) error {
	now := time.Now()
	var lines []cert.Line
	for _, name := range []string{cert.PlaneAuthority, cert.AgentAuthority} {
		if _, err := cert.EnsureAuthority(keys, name, now); err != nil {
			return err
		}
		line, err := cert.OpenLine(keys, name)
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	if err := WriteBundle(keys, lines...); err != nil {
		return err
	}
	if err := ensureServer(keys, host, lines[0].Present, now); err != nil {
		return err
	}
	fresh := func() (*tls.Config, error) { // both may have been rotated
		pair, err := cert.Read(keys, ServerPair)
		if err != nil {
			return nil, err
		}
		both, err := tls.X509KeyPair(pair.Certificate, pair.Key)
		if err != nil {
			return nil, err
		}
		bundle, err := os.ReadFile(bus.CAFile(keys))
		if err != nil {
			return nil, err
		}
		clients := x509.NewCertPool()
		clients.AppendCertsFromPEM(bundle)
		return &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{both}, ClientCAs: clients,
			ClientAuth: tls.VerifyClientCertIfGiven, // roles have nkeys, agents a password or a certificate
		}, nil
	}
	config, err := fresh()
	if err != nil {
		return fmt.Errorf("cannot read the certificate of the bus: %w", err)
	}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return fresh() }
	o.TLS, o.TLSTimeout, o.TLSConfig = true, tlsTimeout, config
	return nil
}

// WriteBundle writes the authorities that everybody on the bus trusts; the same
// text is not written again.
func WriteBundle(keys string, lines ...cert.Line) error {
	text, path := cert.Trusted(lines...), bus.CAFile(keys)
	if have, err := os.ReadFile(path); err == nil && string(have) == string(text) {
		return nil
	}
	if err := renameio.WriteFile(path, text, 0o600, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("cannot write the authorities of the bus: %w", err)
	}
	return nil
}

// ensureServer keeps a certificate that is good for the host and some time.
func ensureServer(keys, host string, plane *cert.Authority, now time.Time) error {
	hosts := hostsOf(host)
	have, err := cert.Read(keys, ServerPair)
	if err == nil && fits(have, hosts, plane, now) {
		return cert.Repair(keys, ServerPair)
	}
	var said *messages.Error
	if err != nil && !errors.Is(err, fs.ErrNotExist) && errors.As(err, &said) {
		return err
	}
	pair, err := plane.Server(hosts, now)
	if err != nil {
		return err
	}
	return cert.Write(keys, ServerPair, pair)
}

func fits(have cert.Pair, hosts []string, plane *cert.Authority, now time.Time) bool {
	parsed, err := cert.Parse(have.Certificate)
	if err != nil || parsed.NotAfter.Before(now.Add(cert.Soon)) || !plane.Signed(parsed) {
		return false
	}
	for _, host := range hosts {
		if parsed.VerifyHostname(host) != nil {
			return false
		}
	}
	return true
}

// hostsOf are the names that a bus on a host is called by: itself, this machine,
// and on all addresses each of them.
func hostsOf(host string) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	ip := net.ParseIP(host)
	if ip == nil || !ip.IsUnspecified() {
		return append(hosts, host)
	}
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return hosts
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			hosts = append(hosts, n.IP.String())
		}
	}
	return hosts
}
