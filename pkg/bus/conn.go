package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
)

// MaxReconnectPause is the longest pause between two tries to reconnect: after
// a bus came up, the silence of a peer means nothing before it has passed.
const MaxReconnectPause = 2 * time.Second

const (
	defaultWait  = 5 * time.Second
	dialTimeout  = 2 * time.Second
	drainTimeout = 3 * time.Second
	pingInterval = 10 * time.Second
)

// Options say where the bus is and who connects.
type Options struct {
	URL         string            // nats://host:port, several separated by commas
	Name        string            // what the server calls the connection
	SeedFile    string            // file with an nkey seed; "" = none. With ca.pem beside it the bus speaks TLS
	User        string            // user and password, when there is no seed
	Password    string            //
	InboxPrefix string            // default _INBOX; messages.InboxPrefix(role) for a role
	TLS         *tls.Config       // nil = none, unless the URL says tls
	Wait        time.Duration     // how long the first connect may take, default 5s
	Log         zerolog.Logger    // zero value is silent
	Dialer      nats.CustomDialer // default: TCP
}

// Conn is a connection to the bus.
type Conn struct {
	nc  *nats.Conn
	js  jetstream.JetStream
	log zerolog.Logger

	closed chan struct{}

	mu       sync.Mutex
	url      string                // guarded by mu
	refusals map[*refusal]struct{} // guarded by mu
	wakes    map[*wake]struct{}    // guarded by mu
}

// wake is called after every reconnect.
type wake struct{ call func() }

// Connect connects within Options.Wait. The error has code bus_unreachable or
// bus_denied. Later losses of the connection are repaired for ever.
func Connect(ctx context.Context, o Options) (*Conn, error) {
	c := &Conn{
		log:      o.Log.With().Str("component", "bus").Logger(),
		closed:   make(chan struct{}),
		refusals: map[*refusal]struct{}{},
		wakes:    map[*wake]struct{}{},
	}
	opts, err := c.options(o)
	if err != nil {
		return nil, err
	}
	wait := o.Wait
	if wait <= 0 {
		wait = defaultWait
	}
	waitCtx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		c.nc, err = nats.Connect(o.URL, opts...)
		if err == nil {
			break
		}
		if denied(err) {
			return nil, messages.Errorf(messages.CodeBusDenied, "the bus at %s refuses %s: %w", safeURL(o.URL), identity(o), err).
				WithHint("check that the key, password or certificate belongs to this bus; the bus's own folder holds them under keys/, and `microbosh rotate tls` makes certificates anew")
		}
		if poll.Pause(waitCtx, pause) != nil {
			return nil, messages.Errorf(messages.CodeBusUnreachable, "no bus answers at %s (as %s): %w", safeURL(o.URL), identity(o), err).
				WithHint("check that the bus runs there and that this host may reach it")
		}
	}
	c.js, err = jetstream.New(c.nc)
	if err != nil {
		c.nc.Close()
		return nil, messages.Errorf(messages.CodeInternal, "cannot use JetStream: %w", err)
	}
	c.noteURL()
	return c, nil
}

func (c *Conn) options(o Options) ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name(o.Name),
		nats.Timeout(dialTimeout),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(reconnectDelay),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
		nats.DrainTimeout(drainTimeout),
		nats.PermissionErrOnSubscribe(true),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) { c.onError(sub, err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.log.Warn().Err(err).Msg("bus lost") }),
		nats.ReconnectHandler(func(*nats.Conn) { c.onReconnect() }),
		nats.ClosedHandler(func(*nats.Conn) { close(c.closed) }),
	}
	if o.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(o.InboxPrefix))
	}
	if o.TLS != nil {
		opts = append(opts, nats.Secure(o.TLS))
	} else if o.SeedFile != "" {
		opts = append(opts, folderTLS(o.SeedFile)...)
	}
	if o.Dialer != nil {
		opts = append(opts, nats.SetCustomDialer(o.Dialer))
	}
	if o.SeedFile != "" {
		if _, err := os.Stat(o.SeedFile); err != nil {
			return nil, messages.Errorf(messages.CodeBusDenied, "cannot read the bus key: %w", err).
				WithHint("the bus writes keys/<role>.nk at its first start; name that folder")
		}
		key, err := nats.NkeyOptionFromSeed(o.SeedFile)
		if err != nil {
			return nil, messages.Errorf(messages.CodeBusDenied, "cannot read the bus key %s: it holds no nkey seed", o.SeedFile).
				WithHint("restore the file from the folder of the bus")
		}
		opts = append(opts, key)
	} else if o.User != "" {
		opts = append(opts, nats.UserInfo(o.User, o.Password))
	}
	return opts, nil
}

// Close sends what is buffered, lets running handlers end and closes, within a
// few seconds.
func (c *Conn) Close() {
	if c.nc.Drain() != nil {
		c.nc.Close()
	}
	t := time.NewTimer(drainTimeout + time.Second)
	defer t.Stop()
	select {
	case <-c.closed:
	case <-t.C:
		c.nc.Close()
	}
}

// URL is the address of the server last connected to, without credentials.
func (c *Conn) URL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.url
}

// ended tells whether the connection is closed for good, or about to be.
func (c *Conn) ended() bool { return c.nc.IsClosed() || c.nc.IsDraining() }

func (c *Conn) noteURL() {
	if u := c.nc.ConnectedUrl(); u != "" {
		c.mu.Lock()
		c.url = safeURL(u)
		c.mu.Unlock()
	}
}

func (c *Conn) onReconnect() {
	c.noteURL()
	c.log.Info().Str("url", c.URL()).Msg("bus is back")
	c.mu.Lock()
	calls := make([]*wake, 0, len(c.wakes))
	for w := range c.wakes {
		calls = append(calls, w)
	}
	c.mu.Unlock()
	for _, w := range calls {
		w.call()
	}
}

// OnReconnect has call called after every reconnect, once the subscriptions are
// back, until forget is called. It must not block.
func (c *Conn) OnReconnect(call func()) (forget func()) {
	w := &wake{call: call}
	c.mu.Lock()
	c.wakes[w] = struct{}{}
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		delete(c.wakes, w)
		c.mu.Unlock()
	}
}

// reconnectDelay grows from 50 ms to MaxReconnectPause, jittered below it.
func reconnectDelay(attempts int) time.Duration {
	d := 50 * time.Millisecond << min(max(attempts-1, 0), 6)
	d = min(d, MaxReconnectPause)
	return d - time.Duration(rand.Int64N(int64(d/4)))
}

func denied(err error) bool {
	var said *messages.Error
	if errors.As(err, &said) || badCertificate(err) {
		return true
	}
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) ||
		errors.Is(err, nats.ErrAuthRevoked) || errors.Is(err, nats.ErrAccountAuthExpired) ||
		errors.Is(err, nats.ErrNkeysNotSupported)
}

func identity(o Options) string {
	switch {
	case o.SeedFile != "":
		return "the key in " + o.SeedFile
	case o.User != "":
		return "user " + o.User
	default:
		if u, err := url.Parse(o.URL); err == nil && u.User.Username() != "" {
			return "user " + u.User.Username()
		}
		return "a client without credentials"
	}
}

// safeURL drops the credentials that an address may hold.
func safeURL(list string) string {
	parts := strings.Split(list, ",")
	for i, p := range parts {
		p = strings.TrimSpace(p)
		u, err := url.Parse(p)
		if err != nil {
			if at := strings.LastIndex(p, "@"); at >= 0 {
				p = p[at+1:]
			}
			parts[i] = p
			continue
		}
		u.User = nil
		parts[i] = u.String()
	}
	return strings.Join(parts, ",")
}
