package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/microbosh/microbosh/services/orchestrator/internal/doctor"
)

const (
	maxPEM = 256 << 10

	// showFor is how long a Director may take to show its certificate.
	showFor = 3 * time.Second
)

// certificates are those that this host can see: the bus's, those beside the
// keys, the Director's. One that cannot be seen is none.
func (e *exam) certificates(ctx context.Context, chain []*x509.Certificate) []doctor.Certificate {
	var out []doctor.Certificate
	for _, c := range chain {
		out = append(out, doctor.Certificate{Where: "the bus", Fix: "`microbosh rotate tls` in the control plane's folder, then reload the bus", Certificate: c})
	}
	files, _ := filepath.Glob(filepath.Join(e.s.keys, "*.pem")) // only a bad pattern fails
	for _, file := range files {
		for _, c := range readCertificates(file) {
			out = append(out, doctor.Certificate{Where: file, Fix: "`microbosh rotate tls` in the control plane's folder, then a new copy of this one", Certificate: c})
		}
	}
	if target := e.sight.state.Target; target != nil {
		for _, c := range shownBy(ctx, target.URL) {
			out = append(out, doctor.Certificate{
				Where: target.URL, Fix: "renew it in the manifest and deploy; one that the VM made itself is renewed by `microbosh deploy --update --recreate`", Certificate: c,
			})
		}
	}
	return out
}

func readCertificates(path string) []*x509.Certificate {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxPEM))
	if err != nil {
		return nil
	}
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return out
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			out = append(out, c)
		}
	}
}

// shownBy is what a server shows of itself, whoever signed it.
func shownBy(ctx context.Context, address string) []*x509.Certificate {
	at, err := url.Parse(address)
	if err != nil || at.Scheme != "https" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, showFor)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // only its dates are read
	conn, err := dialer.DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return nil
	}
	return secure.ConnectionState().PeerCertificates
}
