package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/orchestrator/internal/stack"
)

// ownCloud is the one that a command starts a CPI for.
const ownCloud = "openstack"

// openCloud is open for a verb that changes the cloud. A cloud whose CPI serves
// nowhere is refused before anything is started or asked for.
func (a *app) openCloud(ctx context.Context, d chosen) (*session, error) {
	if err := a.refuseCloud(d); err != nil {
		return nil, err
	}
	plugin := d.manifest.Cloud.Plugin
	s, err := a.open(ctx, folder(d.choice.Deployment), false)
	if err != nil || plugin == ownCloud {
		return s, err
	}
	if err := s.serves(ctx, plugin); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// refuseCloud refuses a cloud whose CPI would have to come with the command.
func (a *app) refuseCloud(d chosen) error {
	plugin := d.manifest.Cloud.Plugin
	if plugin != ownCloud && a.bus == "" && stack.Join(folder(d.choice.Deployment)) == nil {
		return noCPI(plugin, "microbosh brings one for "+ownCloud+" only")
	}
	return nil
}

// serves refuses a cloud that no CPI on the bus answers for. What else may be
// wrong with one the run will tell.
func (s *session) serves(ctx context.Context, plugin string) error {
	err := s.conn.Call(ctx, messages.ServiceSubject(messages.CPIService(plugin), messages.SvcInfo), messages.CallRequest{}, nil)
	if messages.CodeOf(err) == messages.CodeNoService {
		return noCPI(plugin, "none answers on this bus")
	}
	return nil
}

func noCPI(plugin, why string) error {
	return messages.Errorf(messages.CodeNoService, "there is no CPI for %s: %s", plugin, why).
		WithHint("run a CPI service for %s on a bus, and name that bus with --bus; or deploy to %s", plugin, ownCloud)
}

// ask has the CPI of a manifest answer one read.
func (s *session) ask(ctx context.Context, m *manifest.Manifest, method string, args, reply any) error {
	to, err := seal.PublicKey(s.keys, messages.RoleCPI)
	if err != nil {
		return fmt.Errorf("cannot seal for the CPI: %w", err)
	}
	properties, err := json.Marshal(m.Cloud.Properties)
	if err != nil {
		return fmt.Errorf("cannot seal for the CPI: %w", err)
	}
	ring, err := seal.Ephemeral()
	if err != nil {
		return err
	}
	raw, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("cannot encode the arguments of %s: %w", method, err)
	}
	raw, closed, err := messages.Part(raw)
	if err != nil {
		return fmt.Errorf("cannot part the arguments of %s: %w", method, err)
	}
	sealed, err := ring.Seal(to, messages.StepSecrets{Args: closed, Properties: properties})
	if err != nil {
		return err
	}
	subject := messages.ServiceSubject(messages.CPIService(m.Cloud.Plugin), method)
	if err := s.call(ctx, subject, messages.CallRequest{Args: raw, Secrets: sealed}, reply); err != nil {
		if messages.CodeOf(err) == messages.CodeNoService {
			return messages.Errorf(messages.CodeNoService, "no CPI for %s answers on this bus: %w", m.Cloud.Plugin, err).
				WithHint("see that microbosh-cpi-%s runs there", m.Cloud.Plugin)
		}
		return fmt.Errorf("cannot ask the cloud (%s): %w", method, err)
	}
	return nil
}
