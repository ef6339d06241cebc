package steps

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/microbosh/microbosh/pkg/daemon"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/tunnel"
	"github.com/microbosh/microbosh/services/orchestrator/internal/workflow"
)

// openedTunnel is the session's, to one VM.
type openedTunnel struct {
	vm string // CID
	*tunnel.Tunnel
}

// Tunnelled tells whether the VM reads its registry through an SSH tunnel.
func (x *Session) Tunnelled() bool {
	_, wanted := x.Manifest.Tunnel()
	return wanted && x.TunnelKey != ""
}

// openTunnel waits for the VM's sshd and takes its host key as it comes, for
// the journal: nobody has spoken to this VM yet. An agent that answers
// meanwhile needs no tunnel.
func (x *Session) openTunnel(ctx context.Context, c Call) (any, error) {
	var out messages.OpenTunnelOutputs
	err := c.waiting(ctx, func(ctx context.Context) (err error) {
		out, err = x.meet(ctx, c)
		return err
	})
	return out, err
}

func (x *Session) meet(ctx context.Context, c Call) (messages.OpenTunnelOutputs, error) {
	var none messages.OpenTunnelOutputs
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o, err := x.tunnelOptions(c)
	if err != nil {
		return none, err
	}
	type meeting struct {
		key string
		err error
	}
	met := make(chan meeting, 1)
	go func() {
		key, err := tunnel.Meet(ctx, o)
		met <- meeting{key, err}
	}()
	answered := make(chan error, 1)
	go func() { answered <- x.ping(ctx, c) }()
	defer x.tellLater(c, "nobody lets us in yet as "+o.User+" at "+o.Address)()
	var m meeting
	select { // both have ended before this returns
	case m = <-met:
		cancel()
		err = <-answered
	case err = <-answered:
		cancel()
		m = <-met
	}
	switch {
	case m.err == nil:
		return messages.OpenTunnelOutputs{HostKey: m.key}, nil
	case err == nil:
		return none, nil
	case errors.Is(err, context.DeadlineExceeded):
		return none, tunnelError(o, m.err)
	default:
		return none, err
	}
}

func tunnelError(o tunnel.Options, err error) error {
	if err == nil {
		err = errors.New("no answer")
	}
	return messages.Errorf(messages.CodeTunnelFailed, "cannot open the SSH tunnel to %s@%s: %w", o.User, o.Address, err).
		WithHint("see that the security group lets port 22 through, that default_key_name is private_key's other half, and who ssh_user is; microbosh console tells how far the VM is")
}

// ping asks without a word to others: the agent may not be there for long.
func (x *Session) ping(ctx context.Context, c Call) error {
	a, err := x.openAgent(ctx, c)
	if err != nil {
		return err
	}
	request, err := newRequest("ping", nil)
	if err != nil {
		return err
	}
	_, err = x.once(ctx, a, request)
	return err
}

// through has the tunnel of the VM open while an agent is asked for something,
// in whichever process the run is. A VM that makes way needs none. The context
// ends, with the reason as its cause, when the tunnel is refused.
func (x *Session) through(ctx context.Context, c Call) (context.Context, func()) {
	vm := c.State.VM
	makes := x.Command.Verb == messages.VerbCreate || x.Command.Verb == messages.VerbUpdate
	if vm == nil || vm.HostKey == "" || !makes || !x.Tunnelled() || !throughTunnel(c.Intent.Step) {
		return ctx, func() {}
	}
	if x.tunnel == nil || x.tunnel.vm != vm.CID {
		x.closeTunnel()
		o, err := x.tunnelOptions(c)
		if err == nil {
			o.HostKey = vm.HostKey
			var t *tunnel.Tunnel
			if t, err = tunnel.Open(o); err == nil {
				x.tunnel = &openedTunnel{vm.CID, t}
			}
		}
		if err != nil { // the agent may answer all the same
			x.Log.Warn().Err(err).Str("step", c.Intent.StepID).Msg("no tunnel")
			return ctx, func() {}
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := x.tunnel.Refused(cancel)
	return ctx, func() { stop(); cancel(nil) }
}

// throughTunnel tells whether an agent may have to read its settings in a step.
func throughTunnel(step string) bool {
	return step == workflow.StepWaitAgent || step == workflow.StepMountDisk
}

func (x *Session) closeTunnel() {
	if x.tunnel != nil {
		x.tunnel.Close()
		x.tunnel = nil
	}
}

func (x *Session) tunnelOptions(c Call) (tunnel.Options, error) {
	t, _ := x.Manifest.Tunnel()
	if c.State.VM.IP == "" {
		return tunnel.Options{}, messages.Errorf(messages.CodeInternal, "the VM has no address to open a tunnel to")
	}
	log := x.Log.With().Str("deployment", x.Deployment).Str("run", x.Run).Logger()
	return tunnel.Options{
		Address: net.JoinHostPort(c.State.VM.IP, strconv.Itoa(t.Port)), User: t.User, Key: x.TunnelKey, Port: t.Registry,
		Registry: x.dialRegistry,
		Opened:   func() { log.Info().Msg("tunnel open") },
		Told:     func(err error) { log.Debug().Err(err).Msg("tunnel not open; tried again") },
	}, nil
}

// dialRegistry connects to the registry where it says that it is. Its file is
// read anew each time: the registry may have moved.
func (s *Steps) dialRegistry(ctx context.Context) (net.Conn, error) {
	file := daemon.RegistryFile(s.Keys)
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot find the registry: %w", err)
	}
	var at struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal(raw, &at); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", file, err)
	}
	u, err := url.Parse(at.URL)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("%s tells no url", file)
	}
	port := u.Port()
	if port == "" {
		port = u.Scheme // http and https are ports' names, too
	}
	const limit = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	address := net.JoinHostPort(u.Hostname(), port)
	if u.Scheme == "https" {
		return (&tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}
