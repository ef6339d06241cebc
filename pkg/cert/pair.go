package cert

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/microbosh/microbosh/pkg/messages"
)

const maxFile = 64 * 1024

// Pair is a certificate and its key, PEM. Further certificates lead to
// authorities that others trust.
type Pair struct{ Certificate, Key []byte }

// Parse reads the first certificate of PEM text.
func Parse(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, messages.Errorf(messages.CodeStateInvalid, "it is no certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// first parts PEM text after its first certificate.
func first(text []byte) (one, rest []byte) {
	_, rest = pem.Decode(text)
	return text[:len(text)-len(rest)], rest
}

// Read reads the pair in <dir>/<name>.key. A key that others may read is refused;
// the error is fs.ErrNotExist when there is none, or none with a certificate.
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
	text, err := readFile(keyFile)
	if err != nil {
		return Pair{}, err
	}
	key, certificate := first(text)
	if len(bytes.TrimSpace(certificate)) == 0 { // somebody else's pair, in two files
		certificate, err = readFile(filepath.Join(dir, name+".pem"))
	}
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

// Write puts a pair in place. <name>.key holds both halves, so that one rename
// replaces them; <name>.pem is the certificate once more, for programs that want
// it apart.
func Write(dir, name string, p Pair) error {
	if err := writeFile(filepath.Join(dir, name+".key"), append(bytes.Clone(p.Key), p.Certificate...)); err != nil {
		return err
	}
	return repair(dir, name, p.Certificate)
}

// Repair makes <name>.pem say what <name>.key says: whoever wrote both may have
// been killed between. Without a pair there is nothing to do.
func Repair(dir, name string) error {
	pair, err := Read(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return repair(dir, name, pair.Certificate)
}

func repair(dir, name string, certificate []byte) error {
	path := filepath.Join(dir, name+".pem")
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, certificate) {
		return nil
	}
	return writeFile(path, certificate)
}

func writeFile(path string, text []byte) error {
	if err := renameio.WriteFile(path, text, 0o600, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
