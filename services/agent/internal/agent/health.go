package agent

import (
	"encoding/json"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/home"
	"github.com/microbosh/microbosh/services/agent/internal/supervisor"
)

// health keeps <base>/instance/health.json, where whoever is on the VM reads how
// its jobs are, as bosh-agent does, and passes on what it hears.
type health struct {
	supervisor.Listener
	file string
	log  zerolog.Logger
}

func newHealth(dir home.Dir, l supervisor.Listener, log zerolog.Logger) health {
	return health{l, dir.Join("instance", "health.json"), log}
}

// StateChanged writes the file first: who hears of the state may look into it.
func (h health) StateChanged(jobState string) {
	h.note(jobState)
	h.Listener.StateChanged(jobState)
}

func (h health) note(jobState string) {
	b, err := json.Marshal(map[string]string{"state": jobState})
	if err == nil {
		err = home.NoteFile(h.file, b, 0o644)
	}
	if err != nil {
		h.log.Warn().AnErr("err", err).Msg("the health of the jobs is not told on the VM")
	}
}
