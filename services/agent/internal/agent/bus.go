package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/poll"
	"github.com/microbosh/microbosh/services/agent/internal/bootstrap"
	"github.com/microbosh/microbosh/services/agent/internal/mbus"
)

// onBus is mbus.Bus over a connection.
type onBus struct{ *bus.Conn }

var _ mbus.Bus = onBus{}

func (b onBus) Subscribe(ctx context.Context, subject string, handler func([]byte)) (func(), error) {
	return b.Conn.Subscribe(ctx, subject, func(m bus.Msg) { handler(m.Data) })
}

// How long to wait before the bus is asked again.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 5 * time.Second
)

// connect tries until the bus takes the agent in or ctx ends; then the
// connection is nil. A bus may come up later than the agent, and may learn of
// its identity later.
func connect(ctx context.Context, agentID string, m bootstrap.Mbus, log zerolog.Logger) (*bus.Conn, error) {
	o, err := busOptions(agentID, m)
	if err != nil {
		return nil, err
	}
	o.Log = log
	for wait := shortestPause; ; wait = min(2*wait, longestPause) {
		conn, err := bus.Connect(ctx, o)
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		log.Warn().AnErr("err", err).Dur("pause", wait).Msg("the bus does not take the agent in yet")
		if poll.Pause(ctx, wait) != nil {
			return nil, nil
		}
	}
}

// busOptions takes the credentials out of the URLs, so that no URL that is
// printed anywhere holds one.
func busOptions(agentID string, m bootstrap.Mbus) (bus.Options, error) {
	o := bus.Options{Name: "agent/" + agentID}
	var urls []string
	needTLS := m.Cert.Certificate != "" || m.Cert.CA != ""
	for _, text := range m.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || (u.Scheme != "nats" && u.Scheme != "tls") {
			return o, errors.New("cannot use mbus: it is no nats, tls or https URL with a host") // the cause would show the password
		}
		if u.User != nil {
			o.User = u.User.Username()
			o.Password, _ = u.User.Password()
			u.User = nil
		}
		needTLS = needTLS || u.Scheme == "tls"
		urls = append(urls, u.String())
	}
	o.URL = strings.Join(urls, ",")
	if !needTLS {
		return o, nil
	}
	o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if m.Cert.CA != "" {
		o.TLS.RootCAs = x509.NewCertPool()
		if !o.TLS.RootCAs.AppendCertsFromPEM([]byte(m.Cert.CA)) {
			return o, errors.New("cannot use mbus: its CA is no certificate")
		}
	}
	if m.Cert.Certificate != "" {
		pair, err := tls.X509KeyPair([]byte(m.Cert.Certificate), []byte(m.Cert.PrivateKey))
		if err != nil {
			return o, fmt.Errorf("cannot use mbus: its certificate and key: %w", err)
		}
		o.TLS.Certificates = []tls.Certificate{pair}
	}
	return o, nil
}
