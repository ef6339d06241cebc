package bus

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/microbosh/microbosh/pkg/messages"
)

// moreServers is how long after one server's answer another's is waited for:
// nobody tells how many there are.
const moreServers = 200 * time.Millisecond

// connections is the part of a server's CONNZ answer that matters here.
type connections struct {
	Server struct {
		ID string `json:"id"`
	} `json:"server"`
	Data struct {
		Connections []struct {
			CID uint64 `json:"cid"`
		} `json:"connections"`
	} `json:"data"`
}

// Cut ends all connections of a user of the bus, on every server. The
// connection must be in the bus's system account.
func (c *Conn) Cut(ctx context.Context, user string) error {
	ctx, cancel := withDefault(ctx, confirmFor)
	defer cancel()
	question, err := json.Marshal(map[string]any{"user": user, "auth": true})
	if err != nil {
		return err
	}
	inbox := c.nc.NewRespInbox()
	sub, err := c.nc.SubscribeSync(inbox)
	if err == nil {
		defer func() { _ = sub.Unsubscribe() }()
		err = c.nc.PublishRequest(messages.WardenFindSubject, inbox, question)
	}
	if err != nil {
		return messages.Errorf(messages.CodeBusUnreachable, "cannot look for the connections of %s: %w", user, err)
	}
	for servers := 0; ; servers++ {
		m, err := next(ctx, sub, servers > 0)
		if err != nil && servers > 0 && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return c.Flush(ctx)
		}
		if err != nil {
			return messages.Errorf(messages.CodeBusUnreachable, "cannot look for the connections of %s: %w", user, err)
		}
		if err := c.kick(ctx, m); err != nil {
			return messages.Errorf(messages.CodeBusUnreachable, "cannot cut the connections of %s: %w", user, err)
		}
	}
}

// next is the next server's answer; the first is waited for as long as ctx goes.
func next(ctx context.Context, sub *nats.Subscription, more bool) (*nats.Msg, error) {
	if more {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, moreServers)
		defer cancel()
	}
	return sub.NextMsgWithContext(ctx)
}

func (c *Conn) kick(ctx context.Context, m *nats.Msg) error {
	var at connections
	if err := json.Unmarshal(m.Data, &at); err != nil {
		return err
	}
	for _, found := range at.Data.Connections {
		body, err := json.Marshal(map[string]uint64{"cid": found.CID})
		if err != nil {
			return err
		}
		if _, err := c.nc.RequestWithContext(ctx, "$SYS.REQ.SERVER."+at.Server.ID+".KICK", body); err != nil {
			return err
		}
	}
	return nil
}
