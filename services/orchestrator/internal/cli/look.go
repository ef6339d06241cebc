package cli

import (
	"context"
	"errors"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// sight is a deployment at one moment: the request in its slot, and the state.
type sight struct {
	state workflow.State

	taken    bool // the slot holds a request
	finished bool // whose run has ended
	ticket   ticket
	command  messages.Command

	config string // fingerprint of the manifest at hand; only lookWith tells it
}

// open tells whether a run is asked for or under way.
func (x sight) open() bool { return x.taken && !x.finished }

// look reads the slot first and the journal after it: a request leaves its slot
// after its run's last fact, so what the slot no longer shows the journal does.
func look(ctx context.Context, s *session, deployment string) (sight, error) {
	var x sight
	waiting, err := s.conn.Last(ctx, messages.StreamCommand, messages.CommandSubject(deployment))
	switch {
	case err == nil:
		envelope, err := messages.Decode(waiting.Data, &x.command)
		if err != nil {
			return sight{}, err
		}
		x.taken = true
		x.ticket = ticket{deployment: deployment, uid: envelope.DeploymentUID, run: envelope.ID, verb: x.command.Verb, attached: true}
	case !errors.Is(err, bus.ErrNone):
		return sight{}, err
	}
	log, err := journal.New(s.conn, "").Load(ctx, deployment)
	if err != nil {
		return sight{}, err
	}
	x.state = log.State
	if x.taken {
		_, x.finished = log.State.Finished(x.ticket.run)
	}
	return x, nil
}

// lookWith is look with the manifest at hand.
func lookWith(ctx context.Context, s *session, d chosen) (sight, error) {
	x, err := look(ctx, s, d.manifest.Name)
	if err != nil {
		return sight{}, err
	}
	x.config, err = fingerprint(s.keys, d, x)
	return x, err
}

// sameDeploy tells whether the open request is the one that is asked for again.
// A create and the update that the same words would mean by now are the same.
func (x sight) sameDeploy(c messages.Command, uid string, f deployFlags) bool {
	if !x.open() || x.ticket.uid != uid {
		return false
	}
	switch x.command.Verb {
	case messages.VerbCreate:
		if !f.mayCreate() {
			return false
		}
	case messages.VerbUpdate:
		if !f.mayUpdate() {
			return false
		}
	default:
		return false
	}
	c.Verb = x.command.Verb
	return sameRequest(x.command, c)
}
