package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// cpiRole is the role whose key step commands are sealed to.
const cpiRole = "cpi"

// grace is how long the CPI may take to say that a deadline passed.
const grace = 30 * time.Second

// quiet is how long the CPI or an agent may say nothing before a person is told
// so.
const quiet = 2 * time.Second

func newID() string { return uuid.NewString() }

// command sends a step command and waits for its final result. Outputs are
// decoded into outputs unless it is nil.
func (x *Session) command(ctx context.Context, c Call, method string, args, outputs any) error {
	cloud := x.Manifest.Cloud.Plugin
	subject := messages.ResultSubject(cloud, method, x.Deployment, c.Intent.StepID)
	if err := x.openResults(ctx); err != nil {
		return err
	}
	var seen bus.Msg
	if !c.Fresh {
		var err error
		if seen, err = x.Conn.Last(ctx, messages.StreamResult, subject); err != nil && !errors.Is(err, bus.ErrNone) {
			return fmt.Errorf("cannot read the result of %s: %w", c.Intent.StepID, err)
		}
		if result, ok := readResult(seen); ok && result.Status.Final() {
			return finish(result, outputs)
		}
	}
	if err := x.sendCommand(ctx, c, cloud, method, args); err != nil {
		return err
	}
	return x.awaitResult(ctx, c, subject, seen.Seq, outputs)
}

func (x *Session) sendCommand(ctx context.Context, c Call, cloud, method string, args any) error {
	raw, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("cannot encode the arguments of %s: %w", method, err)
	}
	raw, closed, err := messages.Part(raw)
	if err != nil {
		return fmt.Errorf("cannot part the arguments of %s: %w", method, err)
	}
	sealed, err := x.sealToCPI(ctx, newAgent(c), closed)
	if err != nil {
		return err
	}
	e := messages.Envelope{
		ID: newID(), Type: messages.Type(messages.ClassStep, method), Source: x.Source, Time: time.Now(),
		Deployment: x.Deployment, DeploymentUID: x.UID, Run: x.Run, Step: c.Intent.StepID, CausationID: x.Run,
	}
	data, err := e.Encode(messages.StepCommand{
		Method: method, Args: raw, Secrets: sealed, Deadline: c.Deadline.UTC(), Settle: c.Settle,
		First: x.first(c),
	})
	if err != nil {
		return err
	}
	if _, err := x.Conn.Send(ctx, messages.StepSubject(cloud, method, x.Deployment), "", data); err != nil {
		return fmt.Errorf("cannot send %s to the CPI: %w", method, err)
	}
	return nil
}

// first tells whether nothing of this run reached the cloud yet. A step that
// another process may have begun has.
func (x *Session) first(c Call) bool {
	if !c.Fresh && c.Intent.Run == x.Run || c.State.Run == nil {
		return false
	}
	for key := range c.State.Run.Done {
		step, _, _ := strings.Cut(key, ":")
		if OnCPI(step) {
			return false
		}
	}
	return true
}

// awaitResult reads the deployment's results until this step's is final, or
// unsettled by a try that began after seq.
func (x *Session) awaitResult(ctx context.Context, c Call, subject string, seq uint64, outputs any) error {
	ctx, cancel := context.WithDeadline(ctx, c.Deadline.Add(grace))
	defer cancel()
	defer x.tellUnwanted(c)()
	told := false
	for {
		m, err := x.nextResult(ctx, &told, c)
		if err != nil {
			if ctx.Err() == context.DeadlineExceeded {
				return messages.Errorf(messages.CodeUnsettled, "no CPI for %s said what became of %s", x.Manifest.Cloud.Plugin, c.Intent.StepID).
					WithHint("see that microbosh-cpi-%s runs on this bus, then run the same command again", x.Manifest.Cloud.Plugin)
			}
			return fmt.Errorf("cannot wait for the result of %s: %w", c.Intent.StepID, err)
		}
		if m.Subject != subject {
			continue
		}
		result, ok := readResult(m)
		switch {
		case !ok:
			x.Log.Warn().Str("step", c.Intent.StepID).Uint64("seq", m.Seq).Msg("unreadable result ignored")
		case result.Status.Final():
			return finish(result, outputs)
		case result.Status == messages.ResultUnsettled && m.Seq > seq:
			return unsettled(result)
		}
	}
}

// nextResult is the next message of the feed; while it is quiet a person is
// told once whom we wait for.
func (x *Session) nextResult(ctx context.Context, told *bool, c Call) (bus.Msg, error) {
	if *told {
		return x.results.Next(ctx)
	}
	short, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	m, err := x.results.Next(short)
	if err == nil || ctx.Err() != nil || short.Err() == nil {
		return m, err
	}
	*told = true
	var info messages.CPIInfo
	service := messages.CPIService(x.Manifest.Cloud.Plugin)
	err = x.Conn.Call(ctx, messages.ServiceSubject(service, messages.SvcInfo), messages.CallRequest{}, &info)
	if messages.CodeOf(err) == messages.CodeNoService {
		x.progress(c.Intent.StepID, c.Intent.Step, "no CPI for %s answers on this bus; waiting for one", x.Manifest.Cloud.Plugin)
	} else {
		x.progress(c.Intent.StepID, c.Intent.Step, "waiting for the cloud")
	}
	return x.results.Next(ctx)
}

func (x *Session) openResults(ctx context.Context) error {
	if x.results != nil {
		return nil
	}
	feed, err := x.Conn.Follow(ctx, messages.StreamResult, []string{messages.ResultFilter(x.Deployment)}, bus.Start{LastPerSubject: true})
	if err != nil {
		return fmt.Errorf("cannot follow the results of %s: %w", x.Deployment, err)
	}
	x.results = feed
	return nil
}

// newAgent is the agent whose VM a step creates, "" when it creates none.
func newAgent(c Call) string {
	if c.Intent.Step != workflow.StepCreateVM {
		return ""
	}
	return c.Intent.Inputs.AgentID
}

// sealToCPI seals what a CPI call needs, args being those of its arguments that
// nobody else may see; the create_vm of an agent also gets the env and the
// agent's mbus.
func (x *Session) sealToCPI(ctx context.Context, agentID string, args json.RawMessage) (*messages.Sealed, error) {
	to, err := seal.PublicKey(x.Keys, cpiRole)
	if err != nil {
		return nil, fmt.Errorf("cannot seal for the CPI: %w", err)
	}
	properties, err := json.Marshal(x.Manifest.Cloud.Properties)
	if err != nil {
		return nil, fmt.Errorf("cannot seal for the CPI: %w", err)
	}
	secrets := messages.StepSecrets{Args: args, Properties: properties}
	if agentID != "" {
		var id messages.Identity
		if secrets.Mbus, id, err = x.mbusOf(ctx, agentID); err != nil {
			return nil, err
		}
		if secrets.Env, err = x.envOf(id); err != nil {
			return nil, fmt.Errorf("cannot seal for the CPI: %w", err)
		}
	}
	return x.Ring.Seal(to, secrets)
}

func readResult(m bus.Msg) (messages.Result, bool) {
	var result messages.Result
	if _, err := messages.Decode(m.Data, &result); err != nil {
		return messages.Result{}, false
	}
	return result, true
}

// refusal is the CPI's last word: the step left nothing behind.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

func finish(result messages.Result, outputs any) error {
	if result.Status == messages.ResultFailed {
		if result.Error == nil {
			result.Error = messages.Errorf(messages.CodeInternal, "the CPI failed %s without saying why", result.Method)
		}
		return refusal{result.Error}
	}
	if outputs == nil {
		return nil
	}
	if err := json.Unmarshal(result.Outputs, outputs); err != nil {
		return messages.Errorf(messages.CodeMalformed, "the outputs of %s cannot be read: %w", result.Method, err)
	}
	return nil
}

func unsettled(result messages.Result) error {
	e := messages.Errorf(messages.CodeUnsettled, "nobody can say whether %s took effect", result.Method)
	if result.Error != nil {
		e.Message, e.Details = e.Message+": "+result.Error.Message, result.Error.Details
	}
	return e.WithHint("run the same command again: it looks first and never makes a second one")
}
