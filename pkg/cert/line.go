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
	"slices"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Line is an authority with the one that comes after it and the one that was
// before. The next is trusted and signs nothing yet; the old one is trusted and
// signs no more, so its key is gone. The next also bears a certificate of the
// present one, which the servers that it signs for show: who trusts the present
// one alone, as an agent that was made earlier, accepts them.
type Line struct {
	Present *Authority
	Next    *Authority // in <name>.next.key; nil for none
	Old     []byte     // PEM, in <name>.old.pem; nil for none
}

func nextFile(name string) string { return name + ".next" }

func oldFile(dir, name string) string { return filepath.Join(dir, name+".old.pem") }

// OpenLine reads the line of an authority.
func OpenLine(dir, name string) (Line, error) {
	var l Line
	var err error
	if l.Present, err = OpenAuthority(dir, name); err != nil {
		return l, err
	}
	pair, err := Read(dir, nextFile(name))
	if err == nil {
		l.Next, err = authority(dir, nextFile(name), pair)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	if l.Old, err = readFile(oldFile(dir, name)); errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		_, err = Parse(l.Old)
	}
	if err != nil {
		return l, messages.Errorf(messages.CodeStateInvalid, "%s holds no certificate", oldFile(dir, name)).
			WithHint("restore it from where it was copied, or remove it when nothing bears a certificate of that authority")
	}
	return l, nil
}

// Trusted are the certificates of the lines. The order is that of their content,
// so that the text is the same before and after one takes the other's place.
func Trusted(lines ...Line) []byte {
	var all []string
	for _, l := range lines {
		all = append(all, string(l.Present.pem))
		if l.Next != nil {
			all = append(all, string(l.Next.pem))
		}
		if l.Old != nil {
			all = append(all, string(l.Old))
		}
	}
	slices.Sort(all)
	var text []byte
	for _, one := range slices.Compact(all) {
		text = append(text, one...)
	}
	return text
}

// Bears tells whether an authority of the line signed a certificate.
func (l Line) Bears(c *x509.Certificate) bool {
	if l.Present.Signed(c) || l.Next != nil && l.Next.Signed(c) {
		return true
	}
	old, err := Parse(l.Old)
	return err == nil && c.CheckSignatureFrom(old) == nil
}

// SignedByAny tells whether one of the authorities in PEM text signed a
// certificate.
func SignedByAny(authorities []byte, c *x509.Certificate) bool {
	for block, rest := pem.Decode(authorities); block != nil; block, rest = pem.Decode(rest) {
		if by, err := x509.ParseCertificate(block.Bytes); err == nil && c.CheckSignatureFrom(by) == nil {
			return true
		}
	}
	return false
}

// Announce makes the next authority of a line, unless there is one.
func Announce(dir, name string, now time.Time) error {
	l, err := OpenLine(dir, name)
	if err != nil || l.Next != nil {
		return err
	}
	next, key, err := NewAuthority(l.Present.parsed.Subject.CommonName, now)
	if err != nil {
		return err
	}
	if err := l.Present.certify(next); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, nextFile(name)+".key"), append(key, next.chain()...))
}

// Succeed puts the next authority in the place of the present one, which becomes
// the old one. Killed at any moment it is finished by calling it again.
func Succeed(dir, name string) error {
	l, err := OpenLine(dir, name)
	if err != nil || l.Next == nil {
		return err
	}
	if err := writeFile(oldFile(dir, name), l.Present.pem); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, nextFile(name)+".key"), filepath.Join(dir, name+".key")); err != nil {
		return fmt.Errorf("cannot put the next authority in place: %w", err)
	}
	return Repair(dir, name)
}

// Retire forgets the old authority of a line, and what led to it.
func Retire(dir, name string) error {
	pair, err := Read(dir, name)
	if err != nil {
		return fmt.Errorf("cannot read the authority %s: %w", name, err)
	}
	if own, bridge := first(pair.Certificate); len(bridge) > 0 {
		if err := Write(dir, name, Pair{own, pair.Key}); err != nil {
			return err
		}
	}
	if err := os.Remove(oldFile(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot forget the old authority: %w", err)
	}
	return nil
}

// Holds tells whether all certificates in the PEM text want are in text.
func Holds(text, want []byte) bool {
	have := map[string]bool{}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		have[string(block.Bytes)] = true
	}
	for block, rest := pem.Decode(want); block != nil; block, rest = pem.Decode(rest) {
		if !have[string(block.Bytes)] {
			return false
		}
	}
	return len(bytes.TrimSpace(want)) > 0
}
