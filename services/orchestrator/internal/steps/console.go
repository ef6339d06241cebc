package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
)

// What of a VM's console an error shows.
const (
	consoleLines = 10
	consoleWidth = 200
	consoleWait  = 15 * time.Second
)

// silent adds to the error of a VM that never answered what its console says
// last, and what to look at. A CPI that cannot tell is no further error.
func (x *Session) silent(ctx context.Context, c Call, err error) error {
	var e *messages.Error
	if !errors.As(err, &e) || e.Code != messages.CodeAgentTimeout || c.State.VM == nil {
		return err
	}
	checks := "that the VM booted, that its clock is right, and that the security groups let the orchestrator reach its agent's port"
	if mbus, _, mbusErr := x.mbus(); mbusErr == nil && !strings.HasPrefix(mbus, "https://") {
		if u, parseErr := url.Parse(mbus); parseErr == nil {
			checks = fmt.Sprintf("that the VM booted, that its clock is right, and that it reaches the bus at %s (security groups, routes, the bus's advertised address)", u.Host)
		}
	}
	e = e.WithHint("see %s", checks)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), consoleWait) // the step's own time is over
	defer cancel()
	lines, consoleErr := x.console(ctx, *c.State.VM)
	if consoleErr != nil {
		x.Log.Debug().Err(consoleErr).Msg("the CPI does not tell the console")
		return e
	}
	if lines == "" {
		lines = "(nothing: the VM has not begun to boot, or its image writes to another console)"
	}
	e.Message += "\nthe last lines of the VM's console:\n" + lines
	return e
}

func (x *Session) console(ctx context.Context, vm messages.VM) (string, error) {
	secrets, err := x.secrets(ctx, vm.AgentID)
	if err != nil {
		return "", err // what cannot be cut out is not shown
	}
	sealed, err := x.sealToCPI(ctx, "", nil)
	if err != nil {
		return "", err
	}
	args, err := json.Marshal(messages.VMArgs{VMCID: vm.CID})
	if err != nil {
		return "", err
	}
	var reply messages.ConsoleReply
	subject := messages.ServiceSubject(messages.CPIService(x.Manifest.Cloud.Plugin), messages.SvcConsole)
	if err := x.Conn.Call(ctx, subject, messages.CallRequest{Args: args, Secrets: sealed}, &reply); err != nil {
		return "", err
	}
	return lastLines(reply.Output, secrets), nil
}

// lastLines are the end of a console without control characters and without
// the secrets that we know: a console is written by whoever is in the VM, and
// the error goes into the journal.
func lastLines(output string, secrets []string) string {
	output = Redact(output, secrets)
	var lines []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return -1
			}
			return r
		}, strings.ToValidUTF8(line, "?")))
		if line == "" {
			continue
		}
		if r := []rune(line); len(r) > consoleWidth {
			line = string(r[:consoleWidth]) + "..."
		}
		lines = append(lines, "  "+line)
	}
	return strings.Join(lines[max(0, len(lines)-consoleLines):], "\n")
}

// secrets are the manifest's, and the agent's mbus.
func (x *Session) secrets(ctx context.Context, agentID string) ([]string, error) {
	mbus, id, err := x.mbusOf(ctx, agentID)
	if err != nil {
		return nil, err
	}
	more := []string{mbus}
	for line := range strings.Lines(id.PrivateKey) {
		more = append(more, strings.TrimSpace(line))
	}
	return Secrets(x.Manifest, more...), nil
}

// Secrets are the texts of a manifest that may be some, and what else is given,
// the longest first.
func Secrets(m *manifest.Manifest, more ...string) []string {
	var all []string
	var collect func(any)
	collect = func(v any) {
		switch v := v.(type) {
		case string:
			const shortest = 5 // what is shorter would cut words
			if len(v) >= shortest {
				all = append(all, v)
			}
			if u, err := url.Parse(v); err == nil && u.User != nil {
				if password, ok := u.User.Password(); ok && password != "" {
					all = append(all, password)
				}
			}
		case map[string]any:
			for _, each := range v {
				collect(each)
			}
		case []any:
			for _, each := range v {
				collect(each)
			}
		}
	}
	collect(m.Env)
	collect(m.Cloud.Properties)
	collect(m.ApplySpec)
	for _, each := range more {
		collect(each)
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}

// Redact cuts secrets out of a text.
func Redact(text string, secrets []string) string {
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, "...")
	}
	return text
}
