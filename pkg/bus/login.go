package bus

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/microbosh/microbosh/pkg/messages"
)

const (
	loginGroup    = "logins" // replicas share the questions
	loginParallel = 64
	loginAccount  = "$G" // where everybody is
	maxLogin      = 16 * 1024
	maxIssuer     = 1024
)

// Logins decide who may log in to the bus beside the roles.
type Logins struct {
	IssuerFile string // seed that signs the answers

	// Check gives the permission of a user. An error refuses the login; its text
	// goes to the server's log.
	Check func(ctx context.Context, user, password string) (messages.Permission, error)
}

// ServeLogins answers the bus's questions about logins until ctx ends. ready is
// called once they arrive.
func (c *Conn) ServeLogins(ctx context.Context, l Logins, ready func()) error {
	issuer, err := readIssuer(l.IssuerFile)
	if err != nil {
		return err
	}
	defer issuer.Wipe()
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
			c.login(ctx, l, issuer, m)
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

func (c *Conn) login(ctx context.Context, l Logins, issuer nkeys.KeyPair, m *nats.Msg) {
	if len(m.Data) > maxLogin {
		return
	}
	request, err := jwt.DecodeAuthorizationRequestClaims(string(m.Data))
	if err != nil {
		c.log.Warn().Msg("unreadable login request ignored")
		return
	}
	answer := jwt.NewAuthorizationResponseClaims(request.UserNkey)
	answer.Audience = request.Server.ID
	user := request.ConnectOptions.Username
	p, err := l.Check(ctx, user, request.ConnectOptions.Password)
	if err == nil {
		answer.Jwt, err = pass(request.UserNkey, user, p, issuer)
	}
	if err != nil {
		answer.Error = messages.AsError(err).Message
		c.log.Warn().Str("agent", fmt.Sprintf("%.64q", user)).Str("from", request.ClientInformation.Host).Msg("login refused")
	}
	text, err := answer.Encode(issuer)
	if err == nil {
		err = m.Respond([]byte(text))
	}
	if err != nil {
		c.log.Warn().Err(err).Msg("a login was not answered")
	}
}

// pass is the server's licence for one connection.
func pass(nkey, user string, p messages.Permission, issuer nkeys.KeyPair) (string, error) {
	claims := jwt.NewUserClaims(nkey)
	claims.Name, claims.Audience = user, loginAccount
	claims.Pub.Allow, claims.Sub.Allow = p.Publish, p.Subscribe
	return claims.Encode(issuer)
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
