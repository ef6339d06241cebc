package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/render"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// Options are what all sessions of a process share.
type Options struct {
	Conn     *bus.Conn
	Ring     *seal.Ring     // the orchestrator's
	Keys     string         // folder of public keys
	Source   string         // of envelopes
	Director string         // one subject token: where agents answer
	Log      zerolog.Logger // component logger
	Silence  time.Duration  // how long an agent may be silent before check_vm calls it dead; default 12s, more than BOSH's longest reconnect pause
}

// Steps makes sessions.
type Steps struct{ Options }

// New makes Steps.
func New(o Options) *Steps {
	if o.Silence == 0 {
		o.Silence = 12 * time.Second
	}
	return &Steps{o}
}

// Session is the work of one run.
type Session struct {
	*Steps
	Deployment string
	UID        string
	Run        string
	Command    messages.Command
	Manifest   *manifest.Manifest
	Spec       json.RawMessage // the stemcell's apply spec; nil when it is in the VM
	TunnelKey  string          // the private key of the tunnel that the manifest wants; "" = none is opened

	// Fence fails when the run is no longer ours: it is asked right before every
	// request that changes something and is not fenced otherwise.
	Fence func(context.Context) error

	results *bus.Feed
	agent   *agent
	tunnel  *openedTunnel

	uploaded   *render.Archive // what uploadedTo was given
	uploadedTo *agent
}

// Call is one step to carry out.
type Call struct {
	State    workflow.State
	Intent   messages.Intent
	Deadline time.Time
	Settle   bool // find out what an earlier run's create did, create nothing
	Fresh    bool // this process has just recorded the intent: nobody can have carried it out

	Cut context.Context // ends when the run is cancelled; nil = it never is
}

type handler func(*Session, context.Context, Call) (any, error)

// handlers is the other half of workflow's tables.
func handlers() map[string]handler {
	return map[string]handler{
		workflow.StepCreateStemcell:   (*Session).createStemcell,
		workflow.StepDeleteStemcell:   (*Session).deleteStemcell,
		workflow.StepCreateVM:         (*Session).createVM,
		workflow.StepDeleteVM:         (*Session).deleteVM,
		workflow.StepSetVMMetadata:    (*Session).setVMMetadata,
		workflow.StepDiscoverIP:       (*Session).discoverIP,
		workflow.StepCreateDisk:       (*Session).createDisk,
		workflow.StepDeleteDisk:       (*Session).deleteDisk,
		workflow.StepAttachDisk:       (*Session).attachDisk,
		workflow.StepDetachDisk:       (*Session).detachDisk,
		workflow.StepDeletePort:       (*Session).deletePort,
		workflow.StepCheckVM:          (*Session).checkVM,
		workflow.StepOpenTunnel:       (*Session).openTunnel,
		workflow.StepWaitAgent:        (*Session).waitAgent,
		workflow.StepMountDisk:        (*Session).mountDisk,
		workflow.StepUnmountDisk:      (*Session).unmountDisk,
		workflow.StepMigrateDisk:      (*Session).migrateDisk,
		workflow.StepFetchApplySpec:   (*Session).fetchApplySpec,
		workflow.StepStop:             (*Session).stop,
		workflow.StepRender:           (*Session).render,
		workflow.StepApply:            (*Session).apply,
		workflow.StepStart:            (*Session).start,
		workflow.StepWaitDirector:     (*Session).waitDirector,
		workflow.StepAdoptStemcell:    (*Session).adoptStemcell,
		workflow.StepAdoptVM:          (*Session).adoptVM,
		workflow.StepAdoptDisk:        (*Session).adoptDisk,
		workflow.StepSaveFingerprints: func(*Session, context.Context, Call) (any, error) { return nil, nil },
	}
}

// Do carries a step out and returns its outputs. An error with code
// step_unsettled leaves the intent open.
func (x *Session) Do(ctx context.Context, c Call) (json.RawMessage, error) {
	handle, ok := handlers()[c.Intent.Step]
	if !ok {
		return nil, messages.Errorf(messages.CodeInternal, "nobody carries out the step %s", c.Intent.Step)
	}
	if !OnCPI(c.Intent.Step) { // the CPI keeps the deadline itself, and has the last word
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, c.Deadline)
		defer cancel()
	}
	ctx, ended := x.through(ctx, c)
	defer ended()
	outputs, err := handle(x, ctx, c)
	if cause := context.Cause(ctx); err != nil && messages.CodeOf(cause) == messages.CodeHostKeyChanged {
		err = cause
	}
	if err != nil {
		return nil, err
	}
	if outputs == nil {
		return nil, nil
	}
	raw, err := json.Marshal(outputs)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the outputs of %s: %w", c.Intent.Step, err)
	}
	return raw, nil
}

// Close ends the session's subscriptions.
func (x *Session) Close() {
	if x.results != nil {
		x.results.Stop()
		x.results = nil
	}
	if x.agent != nil {
		x.agent.close()
		x.agent = nil
	}
	x.closeTunnel()
}

// OnCPI tells whether the CPI carries out a step: its open intents must be
// settled, an agent's may be given up.
func OnCPI(step string) bool {
	switch step {
	case workflow.StepCreateStemcell, workflow.StepDeleteStemcell, workflow.StepCreateVM, workflow.StepDeleteVM,
		workflow.StepSetVMMetadata, workflow.StepDiscoverIP, workflow.StepCreateDisk, workflow.StepDeleteDisk,
		workflow.StepAttachDisk, workflow.StepDetachDisk, workflow.StepDeletePort,
		workflow.StepAdoptStemcell, workflow.StepAdoptVM, workflow.StepAdoptDisk:
		return true
	}
	return false
}

// Budget is how long a step may take before it fails.
func Budget(step string) time.Duration {
	switch step {
	case workflow.StepCreateStemcell:
		return 60 * time.Minute
	case workflow.StepCreateVM, workflow.StepMigrateDisk:
		return 30 * time.Minute
	case workflow.StepCheckVM, workflow.StepSetVMMetadata, workflow.StepDiscoverIP:
		return 2 * time.Minute
	default:
		return 10 * time.Minute
	}
}

// progress tells people what a step waits for. Losing it is no failure.
func (x *Session) progress(stepID, step, format string, args ...any) {
	e := messages.Envelope{
		ID: newID(), Type: messages.Type(messages.ClassEvent, messages.EventProgress), Source: x.Source,
		Time: time.Now(), Deployment: x.Deployment, DeploymentUID: x.UID, Run: x.Run, Step: stepID,
	}
	data, err := e.Encode(messages.Progress{Step: step, StepID: stepID, Message: fmt.Sprintf(format, args...)})
	if err == nil {
		err = x.Conn.Publish(messages.EventSubject(x.Deployment, messages.ServiceOrchestrator, messages.EventProgress), data)
	}
	if err != nil {
		x.Log.Debug().Err(err).Str("step", stepID).Msg("progress not published")
	}
}

// tellLater tells people what a step waits for when it is not over soon; the
// returned function ends that.
func (x *Session) tellLater(c Call, what string) (stop func()) {
	timer := time.AfterFunc(quiet, func() { x.progress(c.Intent.StepID, c.Intent.Step, "%s", what) })
	return func() { timer.Stop() }
}

// Session opens the work of a run; the fields beside Steps are the caller's.
func (s *Steps) Session(x Session) *Session {
	x.Steps = s
	return &x
}
