package bus

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/microbosh/microbosh/pkg/messages"
)

// provisionFor is how long a cluster may take to elect its leaders.
const provisionFor = 60 * time.Second

// Provision makes every stream as messages.Streams says, with that many
// replicas, and the orchestrators' durable. CPIs make their own when they start
// to work. It waits for a cluster that is still electing.
func (c *Conn) Provision(ctx context.Context, replicas int) error {
	ctx, cancel := withDefault(ctx, provisionFor)
	defer cancel()
	for _, s := range messages.Streams() {
		want := streamConfig(s, replicas)
		err := c.retry(ctx, "make the stream "+s.Name, func(ctx context.Context) error {
			ctx, release := c.guard(ctx, "$JS.API.STREAM.")
			defer release()
			_, err := c.js.CreateOrUpdateStream(ctx, want)
			return refused(ctx, err)
		})
		if err != nil {
			return fmt.Errorf("cannot make the stream %s: %w", s.Name, err)
		}
	}
	return c.retry(ctx, "make the orchestrators' consumer", func(ctx context.Context) error {
		_, err := c.durable(ctx, messages.CommandConsumer())
		return err
	})
}

// Drift tells in words how the streams differ from what Provision would make.
// The number of replicas is the installation's and not compared.
func (c *Conn) Drift(ctx context.Context) ([]string, error) {
	out := []string{}
	for _, s := range messages.Streams() {
		var have jetstream.StreamConfig
		missing := false
		err := c.retry(ctx, "look at the stream "+s.Name, func(ctx context.Context) error {
			var reply struct {
				Error  *jetstream.APIError    `json:"error"`
				Config jetstream.StreamConfig `json:"config"`
			}
			if err := c.api(ctx, "STREAM.INFO."+s.Name, nil, &reply); err != nil {
				return err
			}
			if reply.Error != nil {
				missing = reply.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound
				if !missing {
					return reply.Error
				}
			}
			have = reply.Config
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("cannot look at the stream %s: %w", s.Name, err)
		}
		if missing {
			out = append(out, "the stream "+s.Name+" is missing")
			continue
		}
		out = append(out, drift(streamConfig(s, have.Replicas), have)...)
	}
	return out, nil
}

func drift(want, have jetstream.StreamConfig) []string {
	var out []string
	for _, f := range []struct {
		what       string
		want, have any
	}{
		{"subjects", strings.Join(want.Subjects, " "), strings.Join(have.Subjects, " ")},
		{"retention", want.Retention, have.Retention},
		{"storage", want.Storage, have.Storage},
		{"discard policy", want.Discard, have.Discard},
		{"messages in all", want.MaxMsgs, have.MaxMsgs},
		{"rollups", want.AllowRollup, have.AllowRollup},
		{"messages per subject", want.MaxMsgsPerSubject, have.MaxMsgsPerSubject},
		{"discard per subject", want.DiscardNewPerSubject, have.DiscardNewPerSubject},
		{"age limit", want.MaxAge, have.MaxAge},
		{"deletes denied", want.DenyDelete, have.DenyDelete},
		{"purges denied", want.DenyPurge, have.DenyPurge},
		{"direct reads", want.AllowDirect, have.AllowDirect},
	} {
		if w, h := fmt.Sprint(f.want), fmt.Sprint(f.have); w != h {
			out = append(out, fmt.Sprintf("the stream %s has %s %s, wanted %s", want.Name, f.what, h, w))
		}
	}
	return out
}

func streamConfig(s messages.Stream, replicas int) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name:              s.Name,
		Description:       s.Description,
		Subjects:          s.Subjects,
		Storage:           jetstream.FileStorage,
		Replicas:          max(replicas, 1),
		MaxAge:            s.MaxAge,
		MaxMsgs:           -1,
		MaxMsgsPerSubject: -1,
		AllowRollup:       s.Rollup,
		DenyDelete:        s.DenyDelete,
		DenyPurge:         s.DenyDelete,
		AllowDirect:       s.AllowDirect,
	}
	if s.WorkQueue {
		cfg.Retention = jetstream.WorkQueuePolicy
	}
	if s.Most > 0 {
		cfg.MaxMsgs = s.Most
	}
	if s.PerSubject > 0 {
		cfg.MaxMsgsPerSubject = s.PerSubject
	}
	if s.RefuseNew {
		cfg.Discard, cfg.DiscardNewPerSubject = jetstream.DiscardNew, s.PerSubject > 0
	}
	return cfg
}

func (c *Conn) lastSequence(ctx context.Context, stream string) (uint64, error) {
	var reply struct {
		Error *jetstream.APIError `json:"error"`
		State struct {
			LastSeq uint64 `json:"last_seq"`
		} `json:"state"`
	}
	if err := c.api(ctx, "STREAM.INFO."+stream, nil, &reply); err != nil {
		return 0, err
	}
	if reply.Error != nil {
		if reply.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound {
			return 0, noStream(stream)
		}
		return 0, reply.Error
	}
	return reply.State.LastSeq, nil
}
