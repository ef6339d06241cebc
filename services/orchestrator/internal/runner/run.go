package runner

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/steps"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// run is one request in this process's hands.
type run struct {
	*Runner
	log      zerolog.Logger
	job      *bus.Job
	owner    string // of this delivery: one that was thought lost may come to the same process
	envelope messages.Envelope
	command  messages.Command

	journal *journal.Log
	session *steps.Session
	request workflow.Request
	proven  time.Time // when the last append that succeeded began
}

// proof is how long an append shows that the run is ours: no longer than a look
// at the journal may take to come back.
const proof = 20 * time.Millisecond

// drive brings the run to its end. nil means that the request is acknowledged.
func (r *run) drive(ctx context.Context) error {
	var err error
	if r.journal, err = r.Journal.Load(ctx, r.envelope.Deployment); err != nil {
		return err
	}
	if end, ok := r.journal.State.Finished(r.envelope.ID); ok {
		return r.close(ctx, end)
	}
	if living := r.journal.State.UID; living != "" && living != r.envelope.DeploymentUID && !r.command.Adopt {
		return r.end(ctx, refusal(foreign(r.envelope.Deployment, living, r.envelope.DeploymentUID)))
	}
	if err := r.prepare(); err != nil {
		return r.end(ctx, refusal(err))
	}
	defer r.session.Close()
	if err := r.claim(ctx); err != nil {
		return err
	}
	for {
		action := workflow.Decide(r.journal.State, r.request)
		switch {
		case action.Finish != nil:
			return r.end(ctx, action.Finish)
		case action.Resume != nil:
			err = r.step(ctx, *action.Resume, false)
		default:
			err = r.intend(ctx, *action.Intend)
		}
		var unsettled *messages.Error
		switch {
		case errors.As(err, &unsettled) && unsettled.Code == messages.CodeUnsettled:
			return r.end(ctx, &messages.RunDone{
				Outcome: messages.OutcomeNeedsAttention, Step: r.openStep(), Error: messages.AsError(err),
			})
		case err != nil:
			return err
		}
	}
}

func (r *run) openStep() string {
	for _, intent := range r.journal.State.Open {
		return intent.Step
	}
	return ""
}

// prepare opens the request's secrets and reads its manifest.
func (r *run) prepare() error {
	var secrets messages.CommandSecrets
	if !r.command.Secrets.Empty() {
		if err := r.Ring.Open(r.command.Secrets, &secrets); err != nil {
			return wrap("open the request's secrets", err)
		}
	}
	m, err := manifest.Join(r.command.Manifest, secrets.Manifest)
	if err != nil {
		return wrap("read the request's manifest", err)
	}
	if _, err := messages.ParseToken("cloud", m.Cloud.Plugin); err != nil {
		return err
	}
	r.session = r.Steps.Session(steps.Session{
		Deployment: r.envelope.Deployment, UID: r.envelope.DeploymentUID, Run: r.envelope.ID,
		Command: r.command, Manifest: m, Spec: secrets.ApplySpec, TunnelKey: secrets.TunnelKey, Fence: r.fence,
	})
	r.request = NewRequest(r.envelope.ID, r.command, m)
	r.request.Tunnel = r.session.Tunnelled() // wanted, and its key came along
	return nil
}

// NewRequest is what decisions need of a command and its manifest.
func NewRequest(id string, c messages.Command, m *manifest.Manifest) workflow.Request {
	req := workflow.Request{
		Run: id, Verb: c.Verb, Recreate: c.Recreate, ConfigSHA1: c.ConfigSHA1, StemcellSHA1: c.Stemcell.Fingerprint(),
		DiskMiB: m.Resources.PersistentDisk, Import: c.Import, Orphans: c.Orphans,
	}
	_, req.Tunnel = m.Tunnel()
	if s := c.Stemcell; s != nil {
		req.StemcellName, req.StemcellVersion, req.StemcellAPI, req.FetchSpec = s.Name, s.Version, s.APIVersion, s.CID != ""
	}
	if len(m.Resources.DiskProperties) > 0 {
		if raw, err := json.Marshal(m.Resources.DiskProperties); err == nil {
			if open, _, err := messages.Part(raw); err == nil { // the journal holds no secret
				req.DiskProperties = string(open)
			}
		}
	}
	return req
}

// claim makes the run ours, over whoever had it.
func (r *run) claim(ctx context.Context) error {
	for {
		s := r.journal.State
		c := messages.RunClaimed{
			Owner: r.owner, Verb: r.command.Verb, Claim: 1, Cloud: r.session.Manifest.Cloud.Plugin, Time: time.Now().UTC(),
			RequestedBy: r.command.RequestedBy, ConfigSHA1: r.command.ConfigSHA1, StemcellSHA1: r.request.StemcellSHA1,
		}
		if s.InstanceUUID == "" {
			c.InstanceUUID = r.instanceUUID()
		}
		if s.Run != nil && s.Run.ID == r.envelope.ID {
			c.Claim = s.Run.Claim + 1
		}
		err := r.journal.Append(ctx, r.entry(messages.FactRunClaimed, "", c))
		if errors.Is(err, journal.ErrBehind) {
			if err := r.journal.Reload(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		r.log.Info().Str("verb", string(r.command.Verb)).Int("claim", c.Claim).Msg("run claimed")
		return nil
	}
}

// instanceUUID is the imported one, or a new one.
func (r *run) instanceUUID() string {
	if i := r.command.Import; i != nil && i.InstanceUUID != "" {
		return i.InstanceUUID
	}
	return "bm-" + uuid.NewString()
}

// end closes the run in the journal, then lets its request go.
func (r *run) end(ctx context.Context, done *messages.RunDone) error {
	done.Verb, done.Time = r.command.Verb, time.Now().UTC()
	if open := r.journal.State.Run; open != nil && open.ID == r.envelope.ID {
		done.Millis = time.Since(open.Started).Milliseconds()
	}
	if err := r.append(ctx, r.entry(messages.FactRunDone, "", done)); err != nil {
		return err
	}
	if r.journal.State.Run == nil {
		if err := r.append(ctx, r.entry(messages.FactSnapshot, "", r.journal.State.Snapshot)); err != nil {
			return err
		}
	}
	end, _ := r.journal.State.Finished(r.envelope.ID)
	return r.close(ctx, end)
}

// close acknowledges a run that the journal has finished.
func (r *run) close(ctx context.Context, end messages.RunEnd) error {
	r.unload(ctx, end.Outcome == messages.OutcomeSucceeded)
	if err := r.job.Done(ctx); err != nil {
		return wrap("acknowledge the request", err)
	}
	r.log.Info().Str("outcome", string(end.Outcome)).Msg("run closed")
	r.publish(messages.EventRunClosed, messages.RunClosed{Run: r.envelope.ID, Verb: r.command.Verb, Outcome: end.Outcome})
	return nil
}

func (r *run) entry(fact, step string, data any) journal.Entry {
	return journal.Entry{
		Fact: fact, UID: r.envelope.DeploymentUID, Run: r.envelope.ID, Step: step, Cause: r.envelope.ID, Data: data,
	}
}

// append records a fact while the run is ours. What others may write under our
// claim, a cancel or another command's refusal, is read and passed over.
func (r *run) append(ctx context.Context, entry journal.Entry) error {
	for {
		began := time.Now()
		err := r.journal.Append(ctx, entry)
		if !errors.Is(err, journal.ErrBehind) {
			if err == nil {
				r.proven = began
			}
			return err
		}
		if err := r.reload(ctx); err != nil {
			return err
		}
	}
}

// reload reads the journal again and makes sure that the run is still ours.
func (r *run) reload(ctx context.Context) error {
	claimed := r.journal.State.Run != nil
	if err := r.journal.Reload(ctx); err != nil {
		return err
	}
	s := r.journal.State
	if claimed && (s.Run == nil || s.Run.ID != r.envelope.ID || s.Run.Owner != r.owner) {
		return errLost
	}
	return nil
}

// fence fails when the run is no longer ours. An append that succeeded just now
// has shown what a look at the journal would.
func (r *run) fence(ctx context.Context) error {
	if time.Since(r.proven) < proof {
		return nil
	}
	current, err := r.journal.Current(ctx)
	if err != nil || current {
		return err
	}
	return r.reload(ctx)
}
