package bus

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/microbosh/microbosh/pkg/messages"
)

// moreServers is how long after one server's answer another's is waited for when
// a server that is known of says nothing: it may have just ended.
const moreServers = 200 * time.Millisecond

// said is the part of a server's answers that matters here: to WardenCountSubject
// how many servers it knows, to WardenFindSubject its connections.
type said struct {
	Server struct {
		ID string `json:"id"`
	} `json:"server"`
	Statsz *struct {
		Servers int `json:"active_servers"`
	} `json:"statsz"`
	Data struct {
		Connections []struct {
			CID uint64 `json:"cid"`
		} `json:"connections"`
	} `json:"data"`
}

// Connection is one of a server's; the zero value is none.
type Connection struct {
	Server string // its id
	ID     uint64
}

// Cut ends all connections of a user of the bus, on every server, but for the one
// that is spared. This connection must be in the bus's system account.
func (c *Conn) Cut(ctx context.Context, user string, spared Connection) error {
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
		err = errors.Join(
			c.nc.PublishRequest(messages.WardenFindSubject, inbox, question),
			c.nc.PublishRequest(messages.WardenCountSubject, inbox, nil))
	}
	if err != nil {
		return messages.Errorf(messages.CodeBusUnreachable, "cannot look for the connections of %s: %w", user, err)
	}
	for asked, servers := 0, 0; servers == 0 || asked < servers; {
		m, err := next(ctx, sub, asked > 0)
		if err != nil && asked > 0 && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			return messages.Errorf(messages.CodeBusUnreachable, "cannot look for the connections of %s: %w", user, err)
		}
		var answer said
		if err := json.Unmarshal(m.Data, &answer); err != nil {
			return messages.Errorf(messages.CodeMalformed, "cannot read the connections of %s: %w", user, err)
		}
		if answer.Statsz != nil {
			servers = max(servers, answer.Statsz.Servers)
			continue
		}
		asked++
		if err := c.kick(ctx, answer, spared); err != nil {
			return messages.Errorf(messages.CodeBusUnreachable, "cannot cut the connections of %s: %w", user, err)
		}
	}
	return c.Flush(ctx)
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

func (c *Conn) kick(ctx context.Context, at said, spared Connection) error {
	for _, found := range at.Data.Connections {
		if spared == (Connection{at.Server.ID, found.CID}) {
			continue
		}
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
