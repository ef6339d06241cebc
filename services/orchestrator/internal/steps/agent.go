package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
)

// taskWait is how long an agent of ours holds get_task before it says that the
// task still runs.
const taskWait = 25 * time.Second

// transport carries one request to an agent and its reply back. The error says
// that there was no reply.
type transport interface {
	send(ctx context.Context, request messages.AgentRequest) (messages.AgentReply, error)
	close()
}

// agent talks to the agent of one VM.
type agent struct {
	id string
	transport
}

// open gives the client of the VM's agent, made anew when the VM is another.
func (x *Session) openAgent(ctx context.Context, c Call) (*agent, error) {
	vm := c.State.VM
	if vm == nil {
		return nil, messages.Errorf(messages.CodeInternal, "there is no VM whose agent could be asked")
	}
	if x.agent != nil && x.agent.id == vm.AgentID {
		x.tells(c)
		return x.agent, nil
	}
	if x.agent != nil {
		x.agent.close()
		x.agent = nil
	}
	mbus, _, err := x.mbus()
	if err != nil {
		return nil, err
	}
	t, err := x.transport(ctx, *vm, mbus)
	if err != nil {
		return nil, err
	}
	x.agent = &agent{id: vm.AgentID, transport: t}
	x.tells(c)
	return x.agent, nil
}

// tells has people told, in this step, why its VM is not reached.
func (x *Session) tells(c Call) {
	if h, ok := x.agent.transport.(*httpsAgent); ok {
		h.tell = func(why string) { x.progress(c.Intent.StepID, c.Intent.Step, "%s: %s", x.awaited(c, "ping"), why) }
	}
}

func (s *Steps) transport(ctx context.Context, vm messages.VM, mbus string) (transport, error) {
	if strings.HasPrefix(mbus, "https://") {
		return newHTTPS(mbus, vm.IP, s.Director)
	}
	return newNATS(ctx, s.Conn, vm.AgentID, s.Director)
}

// exception is an agent's refusal.
type exception struct{ method, message string }

func (e exception) Error() string {
	return fmt.Sprintf("the agent refused %s: %s", e.method, e.message)
}

// unknown tells whether an older agent does not have the method.
func (e exception) unknown() bool { return strings.Contains(e.message, "unknown message") }

// lost tells whether the agent has no result of a task, for it was restarted.
func (e exception) lost() bool {
	return strings.Contains(e.message, "could not be found") || strings.Contains(e.message, "unknown agent_task_id") ||
		strings.Contains(e.message, "interrupted")
}

// ask sends a request to the VM's agent, waits for its task and returns the
// value. It is repeated under the same step id until the agent has answered or
// ctx ends.
func (x *Session) ask(ctx context.Context, c Call, method string, arguments ...any) (json.RawMessage, error) {
	a, err := x.openAgent(ctx, c)
	if err != nil {
		return nil, err
	}
	request, err := newRequest(method, arguments)
	if err != nil {
		return nil, err
	}
	if !reads(method) { // a repeat of a read would be answered from memory
		request.StepID = c.Intent.StepID
	}
	began := time.Now()
	defer x.tellLater(c, x.awaited(c, method))()
	value, err := x.converse(ctx, a, request)
	x.exchanged(c, a.id, method, time.Since(began), err)
	if err != nil {
		return nil, agentError(method, a.id, err)
	}
	return value, nil
}

// awaited says what a request to an agent waits for.
func (x *Session) awaited(c Call, method string) string {
	if method != "ping" {
		return "the agent works on " + method
	}
	mbus, _, err := x.mbus()
	u, parseErr := url.Parse(mbus)
	switch {
	case err != nil || parseErr != nil:
		return "the agent has not answered yet"
	case u.Scheme == "https":
		return fmt.Sprintf("the agent does not answer yet on %s, port %s", c.State.VM.IP, u.Port())
	default:
		return "the agent has not come to the bus at " + u.Host + " yet"
	}
}

// reads tells whether a method only looks.
func reads(method string) bool {
	switch method {
	case "ping", "info", "list_disk", "get_state", "get_task", "release_apply_spec":
		return true
	}
	return false
}

func newRequest(method string, arguments []any) (messages.AgentRequest, error) {
	request := messages.AgentRequest{Protocol: 3, Method: method, Arguments: []json.RawMessage{}}
	for _, argument := range arguments {
		raw, err := json.Marshal(argument)
		if err != nil {
			return messages.AgentRequest{}, fmt.Errorf("cannot encode an argument of %s: %w", method, err)
		}
		request.Arguments = append(request.Arguments, raw)
	}
	return request, nil
}

// converse sends the request and follows the task that it starts. An agent
// that was restarted meanwhile is asked again: the step id makes that safe.
func (x *Session) converse(ctx context.Context, a *agent, request messages.AgentRequest) (json.RawMessage, error) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		value, err := x.once(ctx, a, request)
		if err != nil {
			return nil, err
		}
		task, running := messages.TaskRunning(value)
		if !running {
			return value, nil
		}
		value, err = x.follow(ctx, a, task.AgentTaskID)
		var refused exception
		if !errors.As(err, &refused) || !refused.lost() {
			return value, err
		}
		if err := poll.Pause(ctx, pause); err != nil { // an agent that keeps failing is not pressed
			return nil, err
		}
	}
}

// once is a single request, fenced unless it only looks.
func (x *Session) once(ctx context.Context, a *agent, request messages.AgentRequest) (json.RawMessage, error) {
	if !reads(request.Method) {
		if err := x.Fence(ctx); err != nil {
			return nil, err
		}
	}
	reply, err := a.send(ctx, request)
	if err != nil {
		return nil, err
	}
	if reply.Exception != nil {
		return nil, exception{request.Method, reply.Exception.Message}
	}
	return reply.Value, nil
}

// follow waits for a task: our agent answers when it ends, others are polled.
func (x *Session) follow(ctx context.Context, a *agent, task string) (json.RawMessage, error) {
	request, err := newRequest("get_task", []any{task, messages.TaskWait{Wait: taskWait.String()}})
	if err != nil {
		return nil, err
	}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		asked := time.Now()
		value, err := x.once(ctx, a, request)
		if err != nil {
			return nil, err
		}
		if _, running := messages.TaskRunning(value); !running {
			return value, nil
		}
		if time.Since(asked) > taskWait/2 {
			continue // it waited
		}
		if err := poll.Pause(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// exchanged publishes that an agent was asked, without what was said.
func (x *Session) exchanged(c Call, agentID, method string, took time.Duration, err error) {
	exchange := messages.Exchange{
		AgentID: agentID, Method: method, StepID: c.Intent.StepID, OK: err == nil, Millis: took.Milliseconds(),
	}
	e := messages.Envelope{
		ID: newID(), Type: messages.Type(messages.ClassEvent, messages.EventExchange), Source: x.Source,
		Time: time.Now(), Deployment: x.Deployment, DeploymentUID: x.UID, Run: x.Run, Step: c.Intent.StepID,
	}
	data, encodeErr := e.Encode(exchange)
	if encodeErr == nil {
		encodeErr = x.Conn.Publish(messages.EventSubject(x.Deployment, messages.ServiceOrchestrator, messages.EventExchange), data)
	}
	if encodeErr != nil {
		x.Log.Debug().Err(encodeErr).Msg("exchange not published")
	}
}

// agentError says to a person what an agent did not do.
func agentError(method, agentID string, err error) error {
	var refused exception
	switch {
	case errors.As(err, &refused):
		return messages.Errorf(messages.CodeAgentFailed, "%w", err).WithDetail("agent", agentID).
			WithHint("look at the VM's console and at the agent's log on the VM")
	case errors.Is(err, context.DeadlineExceeded):
		why := ""
		var far unreached
		if errors.As(err, &far) && far.why != "" {
			why = ": " + far.why
		}
		return messages.Errorf(messages.CodeAgentTimeout, "Unable to connect to Bosh agent. Check logs for more details. (%s to %s%s)", method, agentID, why).
			WithHint("see that the VM boots, reaches the bus and that its clock is right; its console tells more")
	default:
		return err
	}
}

// mbus is the manifest's mbus; nats:// without a host means the bus that
// deploys, at its advertised address, where each agent has its own identity:
// own.
func (x *Session) mbus() (target string, own bool, err error) {
	given := Mbus(x.Manifest)
	u, err := url.Parse(given)
	if err != nil {
		return "", false, messages.Errorf(messages.CodeManifestInvalid, "cloud.properties.agent.mbus is no URL")
	}
	if u.Host != "" || (u.Scheme != "nats" && u.Scheme != "tls") {
		return given, false, nil
	}
	here, err := url.Parse(x.Conn.URL())
	if err != nil {
		return "", false, fmt.Errorf("cannot tell the bus's address: %w", err)
	}
	u.Scheme, u.Host = "nats", here.Host // BOSH's agents know no tls://: with a certificate they speak it
	return u.String(), true, nil
}

// Mbus is the mbus that a manifest names, with its credentials, else the
// original's.
func Mbus(m *manifest.Manifest) string {
	if agent, ok := m.Cloud.Properties["agent"].(map[string]any); ok {
		if s, ok := agent["mbus"].(string); ok && s != "" {
			return s
		}
	}
	return defaultMbus
}

// defaultMbus is the original's.
const defaultMbus = "https://vcap:b00tstrap@0.0.0.0:6868"

// messageWait is how long an agent may take to answer a person's message.
const messageWait = 30 * time.Second

// Message sends one message to a VM's agent, at its https:// mbus or else over
// the bus, and returns its reply as it is; a task that it starts is not followed.
// A repeat under the same step id is one to the agent, too.
func (s *Steps) Message(ctx context.Context, vm messages.VM, mbus string, request messages.AgentRequest) (messages.AgentReply, error) {
	ctx, cancel := context.WithTimeout(ctx, messageWait)
	defer cancel()
	client, err := s.transport(ctx, vm, mbus)
	if err != nil {
		return messages.AgentReply{}, err
	}
	defer client.close()
	request.Protocol = 3
	if request.Arguments == nil {
		request.Arguments = []json.RawMessage{}
	}
	method := request.Method
	if reads(method) {
		request.StepID = ""
	}
	reply, err := client.send(ctx, request)
	if err != nil {
		return messages.AgentReply{}, agentError(method, vm.AgentID, err)
	}
	return reply, nil
}
