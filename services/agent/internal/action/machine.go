package action

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// updateSettings stores what bootstrap prefers to the settings. A changed mbus
// or blobstore is used from the next start on.
func updateSettings(_ context.Context, d *Dispatcher, c call) (any, error) {
	var update map[string]json.RawMessage
	if err := c.arg(0, &update); err != nil {
		return nil, err
	}
	if err := home.WriteJSON(d.o.Home.Bosh("update_settings.json"), update); err != nil {
		return nil, err
	}
	d.o.Log.Info().Msg("updated settings are stored, the next start uses them")
	return "ok", nil
}

// shutdown says goodbye, halts the machine as far as the platform does, and
// ends the agent once its answer is on its way.
func shutdown(ctx context.Context, d *Dispatcher, _ call) (any, error) {
	if err := d.o.Goodbye(); err != nil {
		d.o.Log.Warn().AnErr("err", err).Msg("the shutdown notice could not be sent")
	}
	if err := d.o.Machine.Shutdown(ctx); err != nil {
		return nil, fmt.Errorf("cannot shut down: %w", err)
	}
	d.o.Quit()
	return "", nil
}
