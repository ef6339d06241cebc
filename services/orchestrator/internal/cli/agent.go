package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/steps"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

const agentLong = `Send one message to the deployment's agent and print its answer.

An argument that names a file is replaced by the file's content, read as YAML.
Nothing is polled: a long-running method answers with its task.

Methods, among others:
  start, stop, ping
  drain TYPE SPEC
  get_state [full]
  list_disk
  migrate_disk OLD NEW, mount_disk CID, unmount_disk CID`

func (a *app) agentCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "agent METHOD [ARGS...]",
		Short: "send a message to the deployment's agent",
		Long:  agentLong,
		Args:  usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.agent(ctx, args[0], args[1:])
		},
	}
}

func (a *app) agent(ctx context.Context, method string, args []string) error {
	d, err := a.load("Please choose deployment first")
	if err != nil {
		return err
	}
	arguments, err := agentArguments(args)
	if err != nil {
		return err
	}
	s, err := a.open(ctx, folder(d.choice.Deployment), false)
	if err != nil {
		return err
	}
	defer s.close()
	value, err := s.message(ctx, d, uuid.NewString(), method, arguments)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, value, "", "  "); err != nil {
		return messages.Errorf(messages.CodeMalformed, "the agent's answer cannot be read: %w", err)
	}
	a.ui.Result(pretty.String(), value)
	return nil
}

// message sends one message to the deployment's agent, through the orchestrator
// and sealed both ways, and gives the value that it answers.
func (s *session) message(ctx context.Context, d chosen, id, method string, arguments []json.RawMessage) (json.RawMessage, error) {
	ring, err := seal.Ephemeral()
	if err != nil {
		return nil, err
	}
	to, err := seal.PublicKey(s.keys, messages.RoleOrchestrator)
	if err != nil {
		return nil, err
	}
	sealed, err := ring.Seal(to, arguments)
	if err != nil {
		return nil, err
	}
	call := messages.AgentCall{ID: id, Deployment: d.manifest.Name, Method: method, Arguments: sealed, Asker: ring.Public()}
	if mbus := steps.Mbus(d.manifest); strings.HasPrefix(mbus, "https://") {
		if call.Mbus, err = ring.Seal(to, mbus); err != nil {
			return nil, err
		}
	}
	var answer messages.AgentCallReply
	err = s.call(ctx, messages.ServiceSubject(messages.ServiceOrchestrator, messages.SvcAgent), call, &answer)
	if err != nil {
		return nil, err
	}
	var reply messages.AgentReply
	if err := ring.Open(answer.Reply, &reply); err != nil {
		return nil, err
	}
	if reply.Exception != nil {
		return nil, messages.Errorf(messages.CodeAgentFailed, "the agent answers: %s", ui.Printable(reply.Exception.Message))
	}
	return reply.Value, nil
}

func agentArguments(args []string) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, 0, len(args))
	for _, arg := range args {
		var value any = arg
		if info, err := os.Stat(arg); err == nil && info.Mode().IsRegular() {
			if value, err = manifest.ReadDocument(arg); err != nil {
				return nil, err
			}
		}
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, messages.Errorf(messages.CodeUsage, "cannot send the argument %s: %w", arg, err)
		}
		out = append(out, raw)
	}
	return out, nil
}
