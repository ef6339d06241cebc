package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/google/uuid"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
)

// request is a deploy request and where the story of its run begins.
type request struct {
	deployment string
	uid        string
	command    messages.Command
}

// ticket is a run to follow.
type ticket struct {
	deployment string
	uid        string
	run        string
	verb       messages.Verb
	attached   bool // somebody else's request, or an earlier one of this person's
}

// submit sends a request. When the deployment's slot is taken by the same
// request its run is joined; a run that has ended is waited for; any other
// refuses this one.
func (a *app) submit(ctx context.Context, s *session, r request) (ticket, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return ticket{}, fmt.Errorf("cannot make a run id: %w", err)
	}
	envelope := messages.Envelope{
		ID: id.String(), Type: messages.Type(messages.ClassCommand, string(r.command.Verb)), Source: daemon.Source("microbosh"),
		Time: time.Now(), Deployment: r.deployment, DeploymentUID: r.uid, Run: id.String(),
	}
	body, err := envelope.Encode(r.command)
	if err != nil {
		return ticket{}, err
	}
	closed, err := s.conn.Follow(ctx, messages.StreamEvent, []string{runClosed(r.deployment)}, bus.Start{New: true})
	if err != nil {
		return ticket{}, err
	}
	defer closed.Stop()
	for {
		_, err := s.conn.Send(ctx, messages.CommandSubject(r.deployment), envelope.ID, body)
		if err == nil {
			return ticket{deployment: r.deployment, uid: r.uid, run: envelope.ID, verb: r.command.Verb}, nil
		}
		if !errors.Is(err, bus.ErrSlotTaken) {
			return ticket{}, err
		}
		t, ended, err := a.join(ctx, s, r)
		if err != nil || t.run != "" {
			return t, err
		}
		if ended {
			if err := waitClosed(ctx, closed); err != nil {
				return ticket{}, err
			}
		}
	}
}

// join looks at the request that has the slot. No ticket and no error means
// that the slot is free by now, or will be: its run has ended.
func (a *app) join(ctx context.Context, s *session, r request) (t ticket, ended bool, err error) {
	x, err := look(ctx, s, r.deployment)
	if err != nil || !x.taken || x.finished {
		return ticket{}, x.finished, err
	}
	if !sameRequest(x.command, r.command) || x.ticket.uid != r.uid {
		return ticket{}, false, messages.Errorf(messages.CodeRunOpen, "another run of `%s' is open: %s, asked for by %s",
			r.deployment, x.command.Verb, orUnknown(x.command.RequestedBy)).
			WithHint("end it with `microbosh cancel` when it cannot succeed; else wait for its end (`microbosh status`)").WithDetail("run", x.ticket.run)
	}
	return a.attach(x.ticket), false, nil
}

func (a *app) attach(t ticket) ticket {
	a.ui.Say("microbosh: this request is under way already: following it")
	return t
}

func sameRequest(a, b messages.Command) bool {
	return a.Verb == b.Verb && a.ConfigSHA1 == b.ConfigSHA1 && a.Recreate == b.Recreate &&
		a.Stemcell.Fingerprint() == b.Stemcell.Fingerprint()
}

func runClosed(deployment string) string {
	return messages.EventSubject(deployment, messages.ServiceOrchestrator, messages.EventRunClosed)
}

// waitClosed waits for the end of any run of the deployment, or a moment: the
// event may have come before the feed was opened.
func waitClosed(ctx context.Context, closed *bus.Feed) error {
	wait, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := closed.Next(wait); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// requester names the person for other people.
func requester() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}

func orUnknown(s string) string {
	if s == "" {
		return "somebody"
	}
	return s
}

// openRun is the run whose request has the deployment's slot.
func (a *app) openRun(ctx context.Context, s *session, deployment string) (ticket, error) {
	x, err := look(ctx, s, deployment)
	if err != nil {
		return ticket{}, err
	}
	if !x.open() {
		return ticket{}, noOpenRun(deployment)
	}
	return x.ticket, nil
}

func noOpenRun(deployment string) error {
	return messages.Errorf(messages.CodeNoDeployment, "no run of `%s' is open", deployment)
}
