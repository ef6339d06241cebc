package bus

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/microbosh/microbosh/pkg/cert"
	"github.com/microbosh/microbosh/pkg/messages"
)

const (
	loginGroup    = "logins" // replicas share the questions
	loginParallel = 64
	accountWait   = 2 * time.Second
	maxLogin      = 16 * 1024
	maxIssuer     = 1024
)

// Logins decide who may log in to the bus beside the roles.
type Logins struct {
	IssuerFile string // seed that signs the answers; that of before may lie beside it

	// Check gives the permission of who logs in. An error refuses the login; its
	// text goes to the server's log.
	Check func(ctx context.Context, l Login) (messages.Permission, error)
}

// Login is what somebody brings. The server has verified the certificate.
type Login struct {
	User, Password string
	Certificate    *x509.Certificate // nil without one
	Connection     Connection
}

// Name is the common name of the certificate, "" without one.
func (l Login) Name() string {
	if l.Certificate == nil {
		return ""
	}
	return l.Certificate.Subject.CommonName
}

// ServeLogins answers the bus's questions about logins until ctx ends. ready is
// called once they arrive.
func (c *Conn) ServeLogins(ctx context.Context, l Logins, ready func()) error {
	issuer, err := readIssuer(l.IssuerFile) // said now, not when the first agent comes
	if err != nil {
		return err
	}
	issuer.Wipe()
	account, err := c.account(ctx)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	defer group.Wait()
	slots := make(chan struct{}, loginParallel)
	sub, err := c.nc.QueueSubscribe(messages.LoginSubject, loginGroup, func(m *nats.Msg) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		group.Go(func() {
			defer func() { <-slots }()
			c.login(ctx, l, account, m)
		})
	})
	if err != nil {
		return messages.Errorf(messages.CodeBusUnreachable, "cannot subscribe to %s: %w", messages.LoginSubject, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.Flush(ctx); err != nil {
		return err
	}
	if ready != nil {
		ready()
	}
	<-ctx.Done()
	return nil
}

func (c *Conn) login(ctx context.Context, l Logins, account string, m *nats.Msg) {
	if len(m.Data) > maxLogin {
		return
	}
	request, err := jwt.DecodeAuthorizationRequestClaims(string(m.Data))
	if err != nil {
		c.log.Warn().Msg("unreadable login request ignored")
		return
	}
	issuer, err := issuerFor(l.IssuerFile, request.Subject)
	if err != nil {
		c.log.Error().Err(err).Str("server", request.Server.Name).Msg("a login cannot be answered")
		return
	}
	defer issuer.Wipe()
	answer := jwt.NewAuthorizationResponseClaims(request.UserNkey)
	answer.Audience = request.Server.ID
	who := Login{
		User: request.ConnectOptions.Username, Password: request.ConnectOptions.Password, Certificate: verified(request.TLS),
		Connection: Connection{request.Server.ID, request.ClientInformation.ID},
	}
	if nameless(who) {
		who.User, who.Password = "", ""
	}
	p, err := l.Check(ctx, who)
	if err == nil {
		answer.Jwt, err = pass(request.UserNkey, account, p, issuer)
	}
	if err != nil {
		answer.Error = messages.AsError(err).Message
		c.log.Warn().Str("agent", fmt.Sprintf("%.64q", cmp.Or(who.User, who.Name()))).Str("from", request.ClientInformation.Host).Msg("login refused")
	}
	text, err := answer.Encode(issuer)
	if err == nil {
		err = m.Respond([]byte(text))
	}
	if err != nil {
		c.log.Warn().Err(err).Msg("a login was not answered")
	}
}

// nameless tells whether a name is the server's own: one that has no account but
// the system's names who brings no name so.
func nameless(l Login) bool {
	const prefix = "nats-"
	return strings.HasPrefix(l.User, prefix) && len(l.User) > len(prefix) && l.Password == l.User[len(prefix)+1:]
}

// account is where this connection and everybody else is.
func (c *Conn) account(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, accountWait)
	defer cancel()
	m, err := c.nc.RequestWithContext(ctx, messages.UserInfoSubject, nil)
	var info struct {
		Data struct {
			Account string `json:"account"`
		} `json:"data"`
	}
	if err == nil {
		err = json.Unmarshal(m.Data, &info)
	}
	if err != nil {
		return "", messages.Errorf(messages.CodeBusUnreachable, "cannot ask the bus for the account of this connection: %w", err)
	}
	if info.Data.Account == "" { // a server that knows no accounts
		return "$G", nil
	}
	return info.Data.Account, nil
}

// verified is the certificate that the server verified.
func verified(t *jwt.ClientTLS) *x509.Certificate {
	if t == nil || len(t.VerifiedChains) == 0 || len(t.VerifiedChains[0]) == 0 {
		return nil
	}
	parsed, err := cert.Parse([]byte(t.VerifiedChains[0][0]))
	if err != nil {
		return nil
	}
	return parsed
}

// pass is the server's licence for one connection. Its name is what Cut finds
// the connection by.
func pass(nkey, account string, p messages.Permission, issuer nkeys.KeyPair) (string, error) {
	claims := jwt.NewUserClaims(nkey)
	claims.Name, claims.Audience = p.User, account
	for _, one := range []struct {
		into *jwt.Permission
		may  []string
	}{{&claims.Pub, p.Publish}, {&claims.Sub, p.Subscribe}} {
		if one.into.Allow = one.may; len(one.may) == 0 { // to the server no list is everything
			one.into.Deny = jwt.StringList{">"}
		}
	}
	return claims.Encode(issuer)
}

// OldIssuerFile is where the seed of before a rotation lies.
func OldIssuerFile(issuer string) string {
	return strings.TrimSuffix(issuer, ".issuer") + ".old.issuer"
}

// issuerFor is the seed whose signature a server expects: the present one, or for
// one that has not started since the rotation the one of before. They are read
// for each login, so that nobody has to be told.
func issuerFor(path, public string) (nkeys.KeyPair, error) {
	for _, file := range []string{path, OldIssuerFile(path)} {
		pair, err := readIssuer(file)
		if errors.Is(err, fs.ErrNotExist) && file != path {
			break
		}
		if err != nil {
			return nil, err
		}
		if have, err := pair.PublicKey(); err == nil && have == public {
			return pair, nil
		}
		pair.Wipe()
	}
	return nil, messages.Errorf(messages.CodeBusDenied, "the bus expects logins to be signed by %.12s…, which %s does not hold", public, path).
		WithHint("copy the registry's folder of keys from the control plane, or start nats-server with its present nats.conf")
}

func readIssuer(path string) (nkeys.KeyPair, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, messages.Errorf(messages.CodeStateInvalid, "cannot read the key that signs logins: %w", err).
			WithHint("the bus writes it at its first start")
	}
	bad := messages.Errorf(messages.CodeStateInvalid, "cannot read the key that signs logins %s: it holds no account seed", path).
		WithHint("restore the file from the folder of the bus")
	if len(b) > maxIssuer {
		return nil, bad
	}
	pair, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(b))))
	if err != nil {
		return nil, bad
	}
	if public, err := pair.PublicKey(); err != nil || !nkeys.IsValidPublicAccountKey(public) {
		return nil, bad
	}
	return pair, nil
}
