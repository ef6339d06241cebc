package steps

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
)

// patience is how long a request may go unanswered before it is sent again: a
// message to an agent that is not there is lost, as NATS has it. An agent that
// holds a get_task until the task ends is asked again meanwhile, which costs
// little and finds out that it was restarted.
const patience = 5 * time.Second

// natsAgent speaks BOSH's mbus over NATS.
type natsAgent struct {
	conn     *bus.Conn
	id       string
	director string
	stops    []func()
	beats    chan struct{} // a heartbeat came

	mu      sync.Mutex
	replies map[string]chan messages.AgentReply // guarded by mu, by reply subject
}

func newNATS(ctx context.Context, conn *bus.Conn, agentID, director string) (*natsAgent, error) {
	n := &natsAgent{
		conn: conn, id: agentID, director: director,
		beats: make(chan struct{}, 1), replies: map[string]chan messages.AgentReply{},
	}
	for subject, handle := range map[string]func(bus.Msg){
		messages.ReplySubject(director, agentID, "*"): n.reply,
		messages.HeartbeatSubject(agentID):            func(bus.Msg) { n.beat() },
	} {
		stop, err := conn.Subscribe(ctx, subject, handle)
		if err != nil {
			n.close()
			return nil, err
		}
		n.stops = append(n.stops, stop)
	}
	return n, nil
}

func (n *natsAgent) close() {
	for _, stop := range n.stops {
		stop()
	}
}

func (n *natsAgent) beat() {
	select {
	case n.beats <- struct{}{}:
	default:
	}
}

func (n *natsAgent) reply(m bus.Msg) {
	var reply messages.AgentReply
	if json.Unmarshal(m.Data, &reply) != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if ch, ok := n.replies[m.Subject]; ok {
		delete(n.replies, m.Subject)
		ch <- reply
	}
}

// send repeats the request until it is answered: after a while without a word,
// and at once when a heartbeat says that the agent is there.
func (n *natsAgent) send(ctx context.Context, request messages.AgentRequest) (messages.AgentReply, error) {
	request.ReplyTo = messages.ReplySubject(n.director, n.id, newID())
	body, err := json.Marshal(request)
	if err != nil {
		return messages.AgentReply{}, err
	}
	answer := make(chan messages.AgentReply, 1)
	n.mu.Lock()
	n.replies[request.ReplyTo] = answer
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(n.replies, request.ReplyTo)
		n.mu.Unlock()
	}()
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case reply := <-answer:
			return reply, nil
		case <-again.C:
		case <-n.beats:
		case <-ctx.Done():
			return messages.AgentReply{}, ctx.Err()
		}
		if err := n.conn.Publish(messages.AgentSubject(n.id), body); err != nil {
			return messages.AgentReply{}, err
		}
		again.Reset(patience)
	}
}
