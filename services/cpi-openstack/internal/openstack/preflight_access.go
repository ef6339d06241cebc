package openstack

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/limits"

	"github.com/microbosh/microbosh/pkg/messages"
)

const (
	// certificateNotice is how long before its end a certificate is spoken of.
	certificateNotice = 30 * 24 * time.Hour

	// clockTolerance is more than a cloud's answer takes, whose time is told in
	// whole seconds.
	clockTolerance = 5 * time.Second
)

// checkClock compares this host's clock with the cloud's: tokens and deadlines
// are absolute times.
func (s *session) checkClock(ctx context.Context) error {
	asked := time.Now()
	have := limits.Get(ctx, s.compute, limits.GetOpts{})
	if have.Err != nil {
		return classify("read the cloud's clock", reads, have.Err)
	}
	now, err := http.ParseTime(have.Header.Get("Date"))
	if err != nil {
		return nil // it does not tell
	}
	return clockError(asked, time.Now(), now)
}

// clockError compares the cloud's time with what this host's clock said before
// and after it was asked.
func clockError(asked, answered, now time.Time) error {
	var apart time.Duration
	switch {
	case now.Before(asked.Add(-clockTolerance)):
		apart = asked.Sub(now)
	case now.After(answered.Add(clockTolerance)):
		apart = now.Sub(answered)
	default:
		return nil
	}
	return messages.Errorf(messages.CodeCloudInvalid, "the clocks of the cloud and of the CPI's host are %s apart", apart.Round(time.Second)).
		WithHint("have both follow a time server: `timedatectl` shows whether this host does")
}

// checkCertificate looks how long the cloud's certificate lives. Whether it is
// trusted the login has told.
func (s *session) checkCertificate(ctx context.Context) error {
	at, err := url.Parse(s.OpenStack.identityURL())
	if err != nil || at.Scheme != "https" {
		return nil
	}
	port := first(at.Port(), "443")
	ctx, cancel := context.WithTimeout(ctx, seconds(s.OpenStack.Connection.Connect, dialTimeout))
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, ServerName: at.Hostname()}} //nolint:gosec // only its dates are read
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(at.Hostname(), port))
	if err != nil {
		return nil //nolint:nilerr // the login went another way, by a proxy perhaps
	}
	defer func() { _ = conn.Close() }()
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return nil
	}
	for _, c := range secure.ConnectionState().PeerCertificates {
		if left := time.Until(c.NotAfter); left < certificateNotice {
			return messages.Errorf(messages.CodeCloudInvalid, "the certificate of %s (%s) ends at %s", at.Host, c.Subject, c.NotAfter.UTC().Format(time.DateTime)).
				WithHint("the cloud's operators must renew it before that")
		}
	}
	return nil
}
