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
	"slices"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// How long certificates are good for. Clocks may differ by slack.
const (
	AuthorityLife = 10 * 365 * 24 * time.Hour
	Life          = 365 * 24 * time.Hour     // of servers and roles
	AgentLife     = 2 * 365 * 24 * time.Hour // as BOSH's Director gives
	slack         = 5 * time.Minute
)

// Authority signs.
type Authority struct {
	pem    []byte
	bridge []byte // its key certified by its predecessor, PEM; nil for the first
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
		// One authority may stand below it: its successor, see Line.
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
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

// OpenAuthority reads <dir>/<name>.key and .pem. The error is fs.ErrNotExist when
// there is no key.
func OpenAuthority(dir, name string) (*Authority, error) {
	pair, err := Read(dir, name)
	if err != nil {
		return nil, err
	}
	if said, err := readFile(filepath.Join(dir, name+".pem")); err == nil {
		if _, err := Parse(said); err != nil { // not merely of before a rotation
			return nil, notAuthority(dir, name)
		}
	}
	return authority(dir, name, pair)
}

func authority(dir, name string, pair Pair) (*Authority, error) {
	bad := notAuthority(dir, name)
	own, bridge := first(pair.Certificate)
	parsed, err := Parse(own)
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
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok || !private.PublicKey.Equal(parsed.PublicKey) {
		return nil, bad
	}
	return &Authority{pem: own, bridge: bridge, parsed: parsed, key: private}, nil
}

func notAuthority(dir, name string) error {
	return messages.Errorf(messages.CodeStateInvalid, "%s.pem and .key in %s are no certificate authority", name, dir).
		WithHint("restore both files from where they were copied")
}

// EnsureAuthority reads an authority, and makes it when it was never there.
func EnsureAuthority(dir, name string, now time.Time) (*Authority, error) {
	a, err := OpenAuthority(dir, name)
	if err == nil {
		return a, repair(dir, name, a.chain())
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, name+".pem")); err == nil { // Write leaves the key first
		return nil, messages.Errorf(messages.CodeStateInvalid, "%s holds %s.pem, but not its key %s.key", dir, name, name).
			WithHint("restore the key from where it was copied: another authority would lock out what this one signed")
	}
	a, key, err := NewAuthority("microbosh "+name, now)
	if err != nil {
		return nil, err
	}
	return a, Write(dir, name, Pair{a.pem, key})
}

// certify signs another authority's key, so that who trusts only this one
// accepts what the other signed.
func (a *Authority) certify(other *Authority) error {
	template := &x509.Certificate{
		Subject: other.parsed.Subject, NotBefore: other.parsed.NotBefore, NotAfter: a.parsed.NotAfter,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: other.parsed.KeyUsage, SubjectKeyId: other.parsed.SubjectKeyId,
	}
	der, err := sign(template, a.parsed, &other.key.PublicKey, a.key)
	if err != nil {
		return err
	}
	other.bridge = encode("CERTIFICATE", der)
	return nil
}

// chain is its own certificate, and what leads to its predecessor.
func (a *Authority) chain() []byte { return append(slices.Clip(a.pem), a.bridge...) }

// Signed tells whether it signed a certificate.
func (a *Authority) Signed(c *x509.Certificate) bool { return c.CheckSignatureFrom(a.parsed) == nil }

// Server signs for a server at the hosts, names or addresses. Its common name is
// one that BOSH's agents accept, and with it comes what leads to the authority's
// predecessor, which agents may know alone.
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
	pair, err := a.issue(template)
	pair.Certificate = append(pair.Certificate, a.bridge...)
	return pair, err
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
