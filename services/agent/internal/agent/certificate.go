package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"

	"github.com/microbosh/microbosh/services/agent/internal/bootstrap"
)

// certificate is the settings' one for HTTPS. Without one it is made anew at
// each start: clients of that kind do not verify it.
func certificate(m bootstrap.Mbus) (tls.Certificate, error) {
	if m.Cert.Certificate != "" {
		pair, err := tls.X509KeyPair([]byte(m.Cert.Certificate), []byte(m.Cert.PrivateKey))
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("cannot use the mbus certificate: %w", err)
		}
		return pair, nil
	}
	host := "localhost"
	if u, err := url.Parse(m.URLs[0]); err == nil {
		host = u.Hostname()
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot make a certificate: %w", err)
	}
	const day = 24 * time.Hour
	const lifetime = 3 * 365 * day
	now := time.Now()
	template := x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{Country: []string{"US"}, Organization: []string{"microbosh"}, CommonName: host},
		NotBefore:    now.Add(-day), NotAfter: now.Add(lifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
