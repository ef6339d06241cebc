package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/poll"
	"github.com/microbosh/microbosh/services/orchestrator/internal/render"
)

// awaitPong returns when the agent has answered a ping.
func (x *Session) awaitPong(ctx context.Context, c Call) error {
	_, err := x.ask(ctx, c, "ping")
	return err
}

func (x *Session) waitAgent(ctx context.Context, c Call) (any, error) {
	err := c.waiting(ctx, func(ctx context.Context) error { return x.awaitPong(ctx, c) })
	if err := x.silent(ctx, c, err); err != nil {
		return nil, err
	}
	return nil, x.swap(ctx, c)
}

// mountDisk tells the agent where the disk is, has it mounted and makes sure
// that it is the one.
func (x *Session) mountDisk(ctx context.Context, c Call) (any, error) {
	in := c.Intent.Inputs
	hint := ""
	for _, d := range []*messages.Disk{c.State.Disk, c.State.NewDisk} {
		if d != nil && d.CID == in.DiskCID {
			hint = d.Hint
		}
	}
	if err := x.optional(ctx, c, "add_persistent_disk", in.DiskCID, hint); err != nil {
		return nil, err
	}
	if _, err := x.ask(ctx, c, "mount_disk", in.DiskCID); err != nil {
		return nil, err
	}
	raw, err := x.ask(ctx, c, "list_disk")
	if err != nil {
		return nil, err
	}
	var mounted []string
	if err := json.Unmarshal(raw, &mounted); err != nil {
		return nil, messages.Errorf(messages.CodeAgentFailed, "the agent's list_disk is no list")
	}
	if !slices.Contains(mounted, in.DiskCID) {
		return nil, messages.Errorf(messages.CodeDiskMismatch, "instance VM has invalid disk: Agent reports %v while deployer's record shows %s", mounted, in.DiskCID)
	}
	return nil, nil
}

// optional asks for what older agents do not have.
func (x *Session) optional(ctx context.Context, c Call, method string, arguments ...any) error {
	_, err := x.ask(ctx, c, method, arguments...)
	var refused exception
	if errors.As(err, &refused) && refused.unknown() {
		return nil
	}
	return err
}

func (x *Session) unmountDisk(ctx context.Context, c Call) (any, error) {
	_, err := x.ask(ctx, c, "unmount_disk", c.Intent.Inputs.DiskCID)
	return nil, err
}

func (x *Session) migrateDisk(ctx context.Context, c Call) (any, error) {
	in := c.Intent.Inputs
	_, err := x.ask(ctx, c, "migrate_disk", in.OldDiskCID, in.DiskCID)
	return nil, err
}

// ignored are the outputs of a step whose failure does not matter.
type ignored struct {
	Ignored string `json:"ignored,omitempty"`
}

// stop swallows what the agent says, as the original did: there may be nothing
// to stop. Who asks for nothing but a stop wants to know.
func (x *Session) stop(ctx context.Context, c Call) (any, error) {
	_, err := x.ask(ctx, c, "stop")
	var refused exception
	if errors.As(err, &refused) && x.Command.Verb != messages.VerbStop {
		return ignored{refused.Error()}, nil
	}
	return nil, err
}

func (x *Session) fetchApplySpec(ctx context.Context, c Call) (any, error) {
	return nil, x.needSpec(ctx, c)
}

// needSpec makes sure of the stemcell's apply spec: it came with the .tgz or
// lies in the VM. It is kept in memory only, for it may hold passwords.
func (x *Session) needSpec(ctx context.Context, c Call) error {
	if len(x.Spec) > 0 {
		return nil
	}
	raw, err := x.ask(ctx, c, "release_apply_spec")
	if err != nil {
		return err
	}
	x.Spec = raw
	return nil
}

func (x *Session) spec(ctx context.Context, c Call) (map[string]any, error) {
	if err := x.needSpec(ctx, c); err != nil {
		return nil, err
	}
	return render.Spec(render.Input{
		Spec: x.Spec, Name: x.Manifest.Name, Plugin: x.Manifest.Cloud.Plugin, Properties: x.Manifest.Cloud.Properties,
		ApplySpec: x.Manifest.ApplySpec, IP: c.State.VM.IP, ServiceIP: c.State.VM.ServiceIP,
	})
}

func (x *Session) apply(ctx context.Context, c Call) (any, error) {
	spec, err := x.finalSpec(ctx, c)
	if err != nil {
		return nil, err
	}
	_, err = x.ask(ctx, c, "apply", spec)
	return nil, err
}

// start runs the jobs' scripts around the start where the agent can, the later
// ones once the jobs run.
func (x *Session) start(ctx context.Context, c Call) (any, error) {
	if err := x.optional(ctx, c, "run_script", "pre-start", map[string]any{}); err != nil {
		return nil, err
	}
	if _, err := x.ask(ctx, c, "start"); err != nil {
		return nil, err
	}
	if err := x.awaitRunning(ctx, c); err != nil {
		return nil, err
	}
	return nil, x.optional(ctx, c, "run_script", "post-start", map[string]any{})
}

// waitDirector polls /info: a Director tells nobody that it is up.
func (x *Session) waitDirector(ctx context.Context, c Call) (any, error) {
	target, err := x.director(ctx, c)
	if err != nil {
		return nil, err
	}
	info := messages.Target{URL: target}
	err = c.waiting(ctx, func(ctx context.Context) error { return x.awaitDirector(ctx, c, &info) })
	if err != nil {
		return nil, err
	}
	return info, nil
}

func (x *Session) awaitDirector(ctx context.Context, c Call, info *messages.Target) error {
	target := info.URL
	client := insecureClient()
	defer client.CloseIdleConnections()
	defer x.tellLater(c, "nobody answers yet at "+target+"/info")()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		said, err := directorInfo(ctx, client, target)
		if err == nil {
			said.URL = target
			*info = said
			return nil
		}
		x.Log.Debug().Err(err).Str("step", c.Intent.StepID).Msg("director not ready")
		if poll.Pause(ctx, pause) != nil {
			return messages.Errorf(messages.CodeDirectorTimeout, "Unable to connect to Bosh Director. Retry manually or check logs for more details. (%s/info: %v)", target, err).
				WithHint("ask the agent with `microbosh agent get_state` whether its jobs run")
		}
	}
}

// director is where the Director of the VM listens. Jobs that are only started
// again are where they were.
func (x *Session) director(ctx context.Context, c Call) (string, error) {
	if known := c.State.Target; known != nil && x.Command.Verb == messages.VerbStart {
		return known.URL, nil
	}
	spec, err := x.spec(ctx, c)
	if err != nil {
		return "", err
	}
	return "https://" + net.JoinHostPort(c.State.VM.IP, strconv.Itoa(render.DirectorPort(spec))), nil
}

// directorInfo asks once. 502 and 503 mean that the proxy is up and the
// application not yet.
func directorInfo(ctx context.Context, client *http.Client, target string) (messages.Target, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target+"/info", nil)
	if err != nil {
		return messages.Target{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return messages.Target{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusServiceUnavailable {
		return messages.Target{}, fmt.Errorf("%s", resp.Status)
	}
	var info messages.Target
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&info); err != nil {
		return messages.Target{}, fmt.Errorf("cannot read /info: %w", err)
	}
	return info, nil
}
