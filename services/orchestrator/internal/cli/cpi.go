package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/microbosh/microbosh/pkg/manifest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

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
