package cert

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Soon is how long before its end a certificate is worth a warning, and is made
// anew where that can be done unasked.
const Soon = 30 * 24 * time.Hour

// Enough is how long before its end an authority is worth one: its successor has
// to be trusted everywhere before it signs, and agents live long.
const Enough = AuthorityLife / 3

// Expiry is a certificate that ends soon, or has ended.
type Expiry struct {
	Path  string    // of the file
	Name  string    // its common name
	After time.Time // when it ends

	authority bool
}

// Warning is what a person is told, and what to do.
func (e Expiry) Warning(now time.Time) *messages.Error {
	when := "ends on " + e.After.UTC().Format(time.DateOnly)
	if !now.Before(e.After) {
		when = "ended on " + e.After.UTC().Format(time.DateOnly)
	}
	said := messages.Errorf(messages.CodeStateInvalid, "the certificate of %s in %s %s", e.Name, e.Path, when)
	if e.authority {
		return said.WithHint("`microbosh rotate ca` makes a successor, in two steps")
	}
	return said.
		WithHint("`microbosh rotate tls` makes new ones; nothing has to stop for it")
}

// Expiring lists the certificates in a folder that end within the time. A folder
// without certificates has none. Authorities are told earlier; old ones never.
func Expiring(dir string, within time.Duration, now time.Time) ([]Expiry, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot look for certificates: %w", err)
	}
	var out []Expiry
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".pem") || strings.HasSuffix(entry.Name(), ".old.pem") {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		text, err := readFile(path)
		if err != nil {
			return nil, fmt.Errorf("cannot look for certificates: %w", err)
		}
		parsed, err := Parse(text)
		if err != nil {
			return nil, messages.Errorf(messages.CodeStateInvalid, "%s holds no certificate", path).WithHint("restore it, or `microbosh rotate tls`")
		}
		horizon := within
		authority := parsed.IsCA && exists(strings.TrimSuffix(path, ".pem")+".key")
		if authority {
			horizon = max(within, Enough)
		}
		if parsed.NotAfter.Before(now.Add(horizon)) {
			out = append(out, Expiry{path, parsed.Subject.CommonName, parsed.NotAfter, authority})
		}
	}
	return out, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
