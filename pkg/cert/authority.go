package cert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
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

	"github.com/microbosh/microbosh/pkg/messages"
)

// How long certificates are good for. Clocks may differ by slack.
const (
	AuthorityLife = 10 * 365 * 24 * time.Hour
	Life          = 365 * 24 * time.Hour     // of servers and roles
	AgentLife     = 2 * 365 * 24 * time.Hour // as BOSH's Director gives
	slack         = 5 * time.Minute
)

const maxFile = 64 * 1024

// Pair is a certificate and its key, PEM.
type Pair struct{ Certificate, Key []byte }

// Authority signs.
type Authority struct {
	pem    []byte
	parsed *x509.Certificate
	key    *ecdsa.PrivateKey
}

// Certificate is the authority's own, PEM.
func (a *Authority) Certificate() []byte { return a.pem }

// Expires is when what it signed ends to be good.
func (a *Authority) Expires() time.Time { return a.parsed.NotAfter }

// NewAuthority makes one that lives in memory.
func NewAuthority(name string, now time.Time) (*Authority, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a key: %w", err)
	}
	template := &x509.Certificate{
		Subject: subject(name), NotBefore: now.Add(-slack), NotAfter: now.Add(AuthorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := sign(template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the certificate just made: %w", err)
	}
	private, err := encodeKey(key)
	if err != nil {
		return nil, nil, err
	}
	return &Authority{pem: encode("CERTIFICATE", der), parsed: parsed, key: key}, private, nil
}

// OpenAuthority reads <dir>/<name>.pem and .key. The error is fs.ErrNotExist when
// there are none.
func OpenAuthority(dir, name string) (*Authority, error) {
	pair, err := Read(dir, name)
	if err != nil {
		return nil, err
	}
	bad := messages.Errorf(messages.CodeStateInvalid, "%s.pem and .key in %s are no certificate authority", name, dir).
		WithHint("restore both files from where they were copied")
	parsed, err := Parse(pair.Certificate)
	if err != nil || !parsed.IsCA {
		return nil, bad
	}
	block, _ := pem.Decode(pair.Key)
	if block == nil {
		return nil, bad
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, bad
	}
	own, ok := key.(*ecdsa.PrivateKey)
	if !ok || !own.PublicKey.Equal(parsed.PublicKey) {
		return nil, bad
	}
	return &Authority{pem: pair.Certificate, parsed: parsed, key: own}, nil
}

// EnsureAuthority reads an authority, and makes it when it is missing.
func EnsureAuthority(dir, name string, now time.Time) (*Authority, error) {
	a, err := OpenAuthority(dir, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return a, err
	}
	a, key, err := NewAuthority("microbosh "+name, now)
	if err != nil {
		return nil, err
	}
	return a, Write(dir, name, Pair{a.pem, key})
}

// Server signs for a server at the hosts, names or addresses. Its common name is
// one that BOSH's agents accept.
func (a *Authority) Server(hosts []string, now time.Time) (Pair, error) {
	template := &x509.Certificate{
		Subject: subject(ServerName), DNSNames: []string{ServerName}, NotBefore: now.Add(-slack), NotAfter: now.Add(Life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if host != "" && host != ServerName {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.issue(template)
}

// Client signs for whoever connects under the common name.
func (a *Authority) Client(name string, life time.Duration, now time.Time) (Pair, error) {
	return a.issue(&x509.Certificate{
		Subject: subject(name), NotBefore: now.Add(-slack), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

func (a *Authority) issue(template *x509.Certificate) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot make a key: %w", err)
	}
	if template.NotAfter.After(a.parsed.NotAfter) {
		template.NotAfter = a.parsed.NotAfter
	}
	der, err := sign(template, a.parsed, &key.PublicKey, a.key)
	if err != nil {
		return Pair{}, err
	}
	private, err := encodeKey(key)
	return Pair{encode("CERTIFICATE", der), private}, err
}

func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, by *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("cannot make a serial number: %w", err)
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		return nil, fmt.Errorf("cannot sign a certificate: %w", err)
	}
	return der, nil
}

// subject is BOSH's, in its order.
func subject(name string) pkix.Name {
	return pkix.Name{Country: []string{"USA"}, Organization: []string{"Cloud Foundry"}, CommonName: name}
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot encode a key: %w", err)
	}
	return encode("PRIVATE KEY", der), nil
}

// Parse reads the first certificate of PEM text.
func Parse(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, messages.Errorf(messages.CodeStateInvalid, "it is no certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// Read reads <dir>/<name>.pem and .key. A key that others may read is refused;
// the error is fs.ErrNotExist when either is missing.
func Read(dir, name string) (Pair, error) {
	keyFile := filepath.Join(dir, name+".key")
	info, err := os.Stat(keyFile)
	if err != nil {
		return Pair{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return Pair{}, messages.Errorf(messages.CodeStateInvalid, "others may read the key %s (mode %04o)", keyFile, info.Mode().Perm()).
			WithHint("chmod 600 %s, and `microbosh rotate tls` if others may have read it", keyFile)
	}
	key, err := readFile(keyFile)
	if err != nil {
		return Pair{}, err
	}
	certificate, err := readFile(filepath.Join(dir, name+".pem"))
	return Pair{certificate, key}, err
}

func readFile(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, messages.Errorf(messages.CodeStateInvalid, "%s is neither a key nor a certificate", path)
	}
	return os.ReadFile(path)
}

// Write puts both files in place. The key comes first, so that a certificate is
// never there without its key; Read of a pair that is being replaced may see a
// new key beside an old certificate, as every reader of two files.
func Write(dir, name string, p Pair) error {
	for _, f := range []struct {
		name string
		data []byte
	}{{name + ".key", p.Key}, {name + ".pem", p.Certificate}} {
		if err := renameio.WriteFile(filepath.Join(dir, f.name), f.data, 0o600, renameio.IgnoreUmask()); err != nil {
			return fmt.Errorf("cannot write %s: %w", f.name, err)
		}
	}
	return nil
}
