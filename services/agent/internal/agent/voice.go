package agent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/action"
	"github.com/microbosh/microbosh/services/agent/internal/alert"
	"github.com/microbosh/microbosh/services/agent/internal/supervisor"
)

// voice says hm.agent.*: heartbeats, alerts, the shutdown notice. Over HTTPS it
// has no bus and says nothing, as BOSH's agents.
type voice struct {
	agentID string
	every   time.Duration
	alerts  bool
	log     zerolog.Logger

	conn   atomic.Pointer[bus.Conn]
	states chan string
	events chan alert.Mail
	logins chan [2]string // title, summary
}

var _ supervisor.Listener = (*voice)(nil)

// waiting is how much may wait while the bus is away; what is more is dropped,
// since the next heartbeat tells the state anyway.
const waiting = 256

func newVoice(agentID string, c Config, log zerolog.Logger) *voice {
	return &voice{
		agentID: agentID, every: c.Heartbeat, alerts: c.Alerts, log: log,
		states: make(chan string, waiting), events: make(chan alert.Mail, waiting),
		logins: make(chan [2]string, waiting),
	}
}

// StateChanged makes a heartbeat be sent.
func (v *voice) StateChanged(jobState string) {
	select {
	case v.states <- jobState:
	default:
	}
}

// Happened makes an alert be sent.
func (v *voice) Happened(e supervisor.Event) { v.mailed(alert.Mail{What: e}) }

// mailed is what monit says over SMTP.
func (v *voice) mailed(m alert.Mail) {
	select {
	case v.events <- m:
	default:
	}
}

// loggedIn makes the alert of a login be sent.
func (v *voice) loggedIn(title, summary string) {
	select {
	case v.logins <- [2]string{title, summary}:
	default:
	}
}

// run speaks until ctx ends. It is started once the agent is listened to, so
// that who hears the first heartbeat can ask.
func (v *voice) run(ctx context.Context, conn *bus.Conn, d *action.Dispatcher) error {
	v.conn.Store(conn)
	defer v.conn.Store(nil)
	for len(v.states) > 0 { // older than what the first heartbeat tells
		<-v.states
	}
	v.beat(d.Heartbeat(d.JobState()))
	var tick <-chan time.Time
	if v.every > 0 {
		ticker := time.NewTicker(v.every)
		defer ticker.Stop()
		tick = ticker.C
	}
	// Whoever asked while the bus was away was not heard: the heartbeat tells
	// them to ask again.
	back := make(chan struct{}, 1)
	forget := conn.OnReconnect(func() {
		select {
		case back <- struct{}{}:
		default:
		}
	})
	defer forget()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
			v.beat(d.Heartbeat(d.JobState()))
		case <-back:
			v.beat(d.Heartbeat(d.JobState()))
		case state := <-v.states:
			v.beat(d.Heartbeat(state))
		case m := <-v.events:
			v.warn(d, m)
		case l := <-v.logins:
			v.say(messages.AlertSubject(v.agentID), alert.OfLogin(newID(), time.Now(), l[0], l[1]))
		}
	}
}

func (v *voice) beat(b messages.Heartbeat) {
	v.say(messages.HeartbeatSubject(v.agentID), b)
}

// warn leaves out alerts of a VM without a job, as nobody could place them.
func (v *voice) warn(d *action.Dispatcher, m alert.Mail) {
	if !v.alerts || d.Heartbeat("").Job == nil {
		return
	}
	if m.ID == "" {
		m.ID = newID()
	}
	if m.At.IsZero() {
		m.At = time.Now()
	}
	if a, ok := alert.New(m.ID, m.At, d.Addresses(), m.What); ok {
		v.say(messages.AlertSubject(v.agentID), a)
	}
}

func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: the runtime ends the program first
	return fmt.Sprintf("%x", id)
}

func (v *voice) say(subject string, what any) {
	data, err := json.Marshal(what)
	if err == nil {
		err = v.conn.Load().Publish(subject, data)
	}
	if err != nil {
		v.log.Warn().AnErr("err", err).Str("subject", subject).Msg("a message could not be sent")
	}
}

// goodbye publishes the shutdown notice and waits until the server has it.
func (v *voice) goodbye() error {
	conn := v.conn.Load()
	if conn == nil {
		return nil
	}
	if err := conn.Publish(messages.ShutdownSubject(v.agentID), []byte("null")); err != nil {
		return err
	}
	const limit = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return conn.Flush(ctx)
}
