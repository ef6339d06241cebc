package director

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

const validFor = 10 * 365 * 24 * time.Hour

// certificate reads the Director's certificate and key, one file, or makes
// them. One that is for another address or has run out is made anew.
func certificate(dir, address string, now time.Time) (tls.Certificate, error) {
	path := filepath.Join(dir, "director.pem")
	both, err := os.ReadFile(path)
	if err == nil {
		cert, err := tls.X509KeyPair(both, both)
		if err == nil && now.Before(cert.Leaf.NotAfter) && fits(cert.Leaf, address) {
			return cert, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return tls.Certificate{}, fmt.Errorf("cannot read the certificate: %w", err)
	}
	both, err = selfSigned(address, now)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot make a certificate: %w", err)
	}
	if err := renameio.WriteFile(path, both, 0o600); err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot keep the certificate: %w", err)
	}
	cert, err := tls.X509KeyPair(both, both)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cannot use the certificate: %w", err)
	}
	return cert, nil
}

func fits(leaf *x509.Certificate, address string) bool {
	return address == "" || leaf.VerifyHostname(address) == nil
}

func selfSigned(address string, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "microbosh director"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(validFor),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(address); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else if address != "" {
		template.DNSNames = []string{address}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...), nil
}
