package bus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/microbosh/microbosh/pkg/cert"
	"github.com/microbosh/microbosh/pkg/messages"
)

// CAFile is where a folder of keys keeps the authorities of its bus. With it
// there, who connects with a key of that folder speaks TLS.
func CAFile(keys string) string { return filepath.Join(keys, "ca.pem") }

// folderTLS gives what TLS needs out of the folder of a seed: ca.pem, and
// <role>.pem and .key when they are there. They are read anew for every
// connection, so that a rotation needs no restart.
func folderTLS(seedFile string) []nats.Option {
	dir := filepath.Dir(seedFile)
	if _, err := os.Stat(CAFile(dir)); err != nil {
		return nil
	}
	role, _, _ := strings.Cut(filepath.Base(seedFile), ".")
	var own func() (tls.Certificate, error)
	if _, err := os.Stat(filepath.Join(dir, role+".pem")); err == nil {
		own = func() (tls.Certificate, error) {
			pair, err := cert.Read(dir, role)
			if err != nil {
				return tls.Certificate{}, denial(err)
			}
			both, err := tls.X509KeyPair(pair.Certificate, pair.Key)
			return both, denial(err)
		}
	}
	return []nats.Option{nats.ClientTLSConfig(own, func() (*x509.CertPool, error) {
		pem, err := os.ReadFile(CAFile(dir))
		if err != nil {
			return nil, denial(err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, denial(errors.New("it holds no certificate"))
		}
		return pool, nil
	})}
}

func denial(err error) error {
	if err == nil {
		return nil
	}
	return messages.Errorf(messages.CodeBusDenied, "cannot read the certificates for the bus: %w", err).
		WithHint("restore them from the control plane's folder, or `microbosh rotate tls`")
}

// badCertificate tells whether one side's certificate is not accepted by the
// other: it has expired, or is of another control plane.
func badCertificate(err error) bool {
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var remote *net.OpError
	return errors.As(err, &authority) || errors.As(err, &invalid) || errors.As(err, &host) ||
		errors.As(err, &remote) && remote.Op == "remote error" // a TLS alert
}
