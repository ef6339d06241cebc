package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/steps"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

const logsLong = `Fetch logs from the VM into an archive here: those of all jobs, or of JOB; with
--agent the agent's own.

An agent on the bus sends them to this machine over HTTP, so the VM must reach
it; --host names its address. An agent with an https:// mbus is asked for them.`

// logsFor is how long an agent may take to gather and send its logs.
const logsFor = 10 * time.Minute

var jobPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}$`)

type logsFlags struct {
	agent  bool
	output string
}

func (a *app) logsCommand() *cobra.Command {
	var f logsFlags
	cmd := &cobra.Command{
		Use:   "logs [JOB]",
		Short: "fetch logs from the VM",
		Long:  logsLong,
		Args:  usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			return a.logs(ctx, strings.Join(args, ""), f)
		},
	}
	cmd.Flags().BoolVar(&f.agent, "agent", false, "the agent's logs instead of the jobs'")
	cmd.Flags().StringVar(&f.output, "output", "", "file to write (default NAME-logs-TIME.tgz here)")
	return cmd
}

func (a *app) logs(ctx context.Context, job string, f logsFlags) error {
	switch {
	case job != "" && f.agent:
		return usage("--agent and a job exclude each other")
	case job != "" && !jobPattern.MatchString(job):
		return usage("%q is no job's name", job)
	}
	d, err := a.load("No deployment set")
	if err != nil {
		return err
	}
	name := d.manifest.Name
	nothing := messages.Errorf(messages.CodeNoDeployment, "`%s' has no VM", name)
	if a.bus == "" && !exists(folder(d.choice.Deployment)) {
		return nothing
	}
	path := f.output
	if path == "" {
		path = fmt.Sprintf("%s-logs-%s.tgz", name, time.Now().Format("20060102-150405"))
	}
	if path, err = filepath.Abs(path); err != nil {
		return messages.Errorf(messages.CodeUsage, "cannot name the archive: %w", err)
	}
	if exists(path) {
		return usage("%s exists already", path)
	}
	s, err := a.open(ctx, folder(d.choice.Deployment), false)
	if err != nil {
		return err
	}
	defer s.close()
	x, err := look(ctx, s, name)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	if x.state.VM == nil {
		return nothing
	}
	ctx, cancel := context.WithTimeout(ctx, logsFor)
	defer cancel()
	kind, filters := "job", []string{}
	if f.agent {
		kind = "agent"
	}
	if job != "" {
		filters = append(filters, job+"/**/*")
	}
	archive, err := a.fetchLogs(ctx, s, d, x.state.VM.IP, kind, filters, filepath.Dir(path))
	if err != nil {
		return interruptedOr(ctx, err)
	}
	defer os.Remove(archive.path)
	files, err := archive.list()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return messages.Errorf(messages.CodeAgentFailed, "there are no such logs on the VM").
			WithHint("`microbosh logs` without a job fetches all there are, `microbosh logs --agent` the agent's")
	}
	if err := os.Rename(archive.path, path); err != nil {
		return fmt.Errorf("cannot keep the logs: %w", err)
	}
	a.ui.Result(fmt.Sprintf("%d logs (%s packed) in %s:\n  %s", len(files), ui.Size(archive.size), path, ui.Printable(strings.Join(files, "\n  "))), struct {
		Path  string   `json:"path"`
		Size  int64    `json:"size"`
		Files []string `json:"files"`
	}{path, archive.size, files})
	return nil
}

// fetchLogs has the agent pack its logs and brings the archive into a folder,
// verified.
func (a *app) fetchLogs(ctx context.Context, s *session, d chosen, ip, kind string, filters []string, dir string) (*archive, error) {
	if mbus := steps.Mbus(d.manifest); strings.HasPrefix(mbus, "https://") {
		var packed struct {
			ID   string `json:"blobstore_id"`
			SHA1 string `json:"sha1"`
		}
		if err := s.task(ctx, d, "fetch_logs", &packed, kind, filters); err != nil {
			return nil, err
		}
		got, err := download(ctx, mbus, ip, packed.ID, dir)
		if err != nil {
			return nil, err
		}
		return got, got.verify(packed.SHA1)
	}
	inbox, err := receive(a.host, ip, dir)
	if err != nil {
		return nil, err
	}
	defer inbox.close()
	var sent struct {
		SHA1 string `json:"sha1"`
	}
	err = s.task(ctx, d, "fetch_logs_with_signed_url", &sent, map[string]any{"signed_url": inbox.url, "log_type": kind, "filters": filters})
	if err != nil {
		e := messages.AsError(err)
		if e.Code == messages.CodeAgentFailed && e.Hint == "" {
			e = e.WithHint("the VM must reach this machine at %s; --host names another address of it", inbox.address)
		}
		return nil, e
	}
	got := inbox.taken()
	if got == nil {
		return nil, messages.Errorf(messages.CodeAgentFailed, "the agent says that it sent the logs, and they have not come")
	}
	return got, got.verify(sent.SHA1)
}

// task sends one message to the agent, waits for the task that it starts and
// reads what came of it.
func (s *session) task(ctx context.Context, d chosen, method string, into any, arguments ...any) error {
	value, err := s.send(ctx, d, method, arguments...)
	if err != nil {
		return err
	}
	for {
		task, running := messages.TaskRunning(value)
		if !running {
			break
		}
		// An agent of ours answers when the task ends; others are asked again.
		pause := time.NewTimer(taskPause)
		value, err = s.send(ctx, d, "get_task", task.AgentTaskID, messages.TaskWait{Wait: taskWait.String()})
		if err != nil {
			pause.Stop()
			return err
		}
		if _, running := messages.TaskRunning(value); running {
			select {
			case <-pause.C:
			case <-ctx.Done():
				return messages.Errorf(messages.CodeAgentTimeout, "the agent does not finish %s", method)
			}
		}
		pause.Stop()
	}
	if err := json.Unmarshal(value, into); err != nil {
		return messages.Errorf(messages.CodeMalformed, "the agent's answer to %s cannot be read: %w", method, err)
	}
	return nil
}

// How an agent's task is waited for.
const (
	taskPause = time.Second      // between two questions, at least
	taskWait  = 10 * time.Second // held by an agent that can
)

func (s *session) send(ctx context.Context, d chosen, method string, arguments ...any) (json.RawMessage, error) {
	raw := make([]json.RawMessage, 0, len(arguments))
	for _, argument := range arguments {
		b, err := json.Marshal(argument)
		if err != nil {
			return nil, fmt.Errorf("cannot encode an argument of %s: %w", method, err)
		}
		raw = append(raw, b)
	}
	return s.message(ctx, d, uuid.NewString(), method, raw)
}
