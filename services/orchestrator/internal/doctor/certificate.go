package doctor

import (
	"crypto/x509"
	"fmt"
	"time"
)

// notice is how long before its end a certificate is spoken of.
const notice = 30 * 24 * time.Hour

// Certificate is one that was seen, and where.
type Certificate struct {
	Where string // in words
	Fix   string // what renews it
	*x509.Certificate
}

// Certificates tells which have ended, end soon or are not valid yet.
func Certificates(seen []Certificate, now time.Time) Check {
	c := Check{Name: "certificates", About: fmt.Sprintf("%d seen", len(seen))}
	for _, s := range seen {
		name := s.Where
		if s.Subject.CommonName != "" {
			name += " (" + s.Subject.CommonName + ")"
		}
		switch {
		case now.After(s.NotAfter):
			c.add(fmt.Sprintf("the certificate of %s has ended at %s", name, day(s.NotAfter)), s.Fix)
		case now.Before(s.NotBefore):
			c.add(fmt.Sprintf("the certificate of %s is not valid before %s", name, day(s.NotBefore)), "look at the clocks of both hosts")
		case s.NotAfter.Sub(now) < notice:
			c.add(fmt.Sprintf("the certificate of %s ends at %s", name, day(s.NotAfter)), s.Fix)
		}
	}
	return c
}

func day(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" }
