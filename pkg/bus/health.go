package bus

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/microbosh/microbosh/pkg/messages"
)

// Health is what a bus says of itself to whoever may look.
type Health struct {
	URL        string
	Version    string // of the server
	Cluster    string // "" = a single server
	MaxPayload int64  // bytes
	RoundTrip  time.Duration

	// Ahead is how far the server's clock is before this host's; it is known to
	// within a round trip.
	Ahead time.Duration

	Storage    int64               // bytes that the streams take
	MaxStorage int64               // that they may take; -1 = no limit of their own
	Chain      []*x509.Certificate // what the server showed; nil without TLS
	Streams    []StreamHealth      // those that are there
}

// StreamHealth is how a stream is kept.
type StreamHealth struct {
	Name     string
	Leader   bool     // has one; a single server always does
	Replicas int      // wanted
	Behind   []string // servers that lack messages or are away
}

// Health asks the bus how it is. It changes nothing.
func (c *Conn) Health(ctx context.Context) (Health, error) {
	ctx, cancel := withDefault(ctx, confirmFor)
	defer cancel()
	h := Health{
		URL: c.URL(), Version: c.nc.ConnectedServerVersion(), Cluster: c.nc.ConnectedClusterName(), MaxPayload: c.nc.MaxPayload(),
	}
	if state, err := c.nc.TLSConnectionState(); err == nil {
		h.Chain = state.PeerCertificates
	}
	var account struct {
		Error  *jetstream.APIError `json:"error"`
		Used   int64               `json:"storage"`
		Limits struct {
			Storage int64 `json:"max_storage"`
		} `json:"limits"`
	}
	err := c.retry(ctx, "ask for JetStream", func(ctx context.Context) error { return c.api(ctx, "INFO", nil, &account) })
	switch {
	case err != nil:
		return h, fmt.Errorf("cannot ask for JetStream: %w", err)
	case account.Error != nil:
		return h, messages.Errorf(messages.CodeBusUnreachable, "JetStream does not serve this identity: %w", account.Error).
			WithHint("switch JetStream on for the server and for the account of microbosh")
	}
	h.Storage, h.MaxStorage = account.Used, account.Limits.Storage
	for _, s := range messages.Streams() {
		stream, found, err := c.streamHealth(ctx, s.Name, &h)
		if err != nil {
			return h, err
		}
		if found {
			h.Streams = append(h.Streams, stream)
		}
	}
	return h, nil
}

// streamHealth also reads the server's clock: every answer bears its time. The
// quickest answer tells it best.
func (c *Conn) streamHealth(ctx context.Context, name string, h *Health) (StreamHealth, bool, error) {
	var reply struct {
		Error  *jetstream.APIError `json:"error"`
		Now    time.Time           `json:"ts"`
		Config struct {
			Replicas int `json:"num_replicas"`
		} `json:"config"`
		Cluster *struct {
			Leader   string `json:"leader"`
			Replicas []struct {
				Name    string `json:"name"`
				Current bool   `json:"current"`
				Offline bool   `json:"offline"`
			} `json:"replicas"`
		} `json:"cluster"`
	}
	var asked time.Time
	err := c.retry(ctx, "look at the stream "+name, func(ctx context.Context) error {
		asked = time.Now()
		return c.api(ctx, "STREAM.INFO."+name, nil, &reply)
	})
	if err != nil {
		return StreamHealth{}, false, fmt.Errorf("cannot look at the stream %s: %w", name, err)
	}
	took := time.Since(asked)
	if !reply.Now.IsZero() && (h.RoundTrip == 0 || took < h.RoundTrip) {
		h.RoundTrip, h.Ahead = took, reply.Now.Sub(asked.Add(took/2))
	}
	if reply.Error != nil {
		if reply.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound {
			return StreamHealth{}, false, nil
		}
		return StreamHealth{}, false, fmt.Errorf("cannot look at the stream %s: %w", name, reply.Error)
	}
	s := StreamHealth{Name: name, Leader: true, Replicas: max(reply.Config.Replicas, 1)}
	if reply.Cluster == nil {
		return s, true, nil
	}
	s.Leader = reply.Cluster.Leader != ""
	for _, r := range reply.Cluster.Replicas {
		if r.Offline || !r.Current {
			s.Behind = append(s.Behind, r.Name)
		}
	}
	return s, true, nil
}

// ConsumerDrift tells in words how a work queue's durable differs from what its
// workers make of it. The workers make it when they start.
func (c *Conn) ConsumerDrift(ctx context.Context, consumer messages.Consumer) ([]string, error) {
	var reply struct {
		Error  *jetstream.APIError      `json:"error"`
		Config jetstream.ConsumerConfig `json:"config"`
	}
	name := consumer.Durable + " of " + consumer.Stream
	err := c.retry(ctx, "look at the consumer "+name, func(ctx context.Context) error {
		return c.api(ctx, "CONSUMER.INFO."+consumer.Stream+"."+consumer.Durable, nil, &reply)
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot look at the consumer %s: %w", name, err)
	case reply.Error != nil && reply.Error.ErrorCode == jetstream.JSErrCodeConsumerNotFound:
		return []string{"the consumer " + name + " is missing"}, nil
	case reply.Error != nil && reply.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return nil, nil // told as the stream's own
	case reply.Error != nil:
		return nil, fmt.Errorf("cannot look at the consumer %s: %w", name, reply.Error)
	}
	var out []string
	for _, f := range []struct {
		what       string
		want, have any
	}{
		{"filter", consumer.Filter, reply.Config.FilterSubject},
		{"acknowledgements", jetstream.AckExplicitPolicy, reply.Config.AckPolicy},
		{"ack wait", messages.AckWait, reply.Config.AckWait},
		{"delivery limit", -1, reply.Config.MaxDeliver},
	} {
		if f.want != f.have {
			out = append(out, fmt.Sprintf("the consumer %s has %s %v, wanted %v", name, f.what, f.have, f.want))
		}
	}
	return out, nil
}

// Serves tells whether a micro service of that name answers on the bus.
func (c *Conn) Serves(ctx context.Context, service string) (bool, error) {
	ctx, cancel := withDefault(ctx, confirmFor)
	defer cancel()
	subject := "$SRV.PING." + service
	ctx, release := c.guard(ctx, subject)
	defer release()
	_, err := c.ask(ctx, subject, nil)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, nats.ErrNoResponders):
		return false, nil
	default:
		return false, callError(ctx, subject, err)
	}
}
