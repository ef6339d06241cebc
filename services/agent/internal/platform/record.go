package platform

import (
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/services/agent/internal/home"
)

// Rootless is the platform that only records.
type Rootless struct {
	dir home.Dir
	log zerolog.Logger
}

var _ Platform = (*Rootless)(nil)

// NewRootless makes a Rootless.
func NewRootless(dir home.Dir, log zerolog.Logger) *Rootless {
	return &Rootless{dir: dir, log: log.With().Str("platform", "rootless").Logger()}
}

// Change is one thing that a real machine would have changed.
type Change struct {
	What    string   `json:"what"`              // a sentence
	Path    string   `json:"path,omitempty"`    // the file it would have written
	Content string   `json:"content,omitempty"` // its new content, unless it is secret
	Run     []string `json:"run,omitempty"`     // the command it would have run
}

// Recorded is the content of <base>/bosh/recorded/<step>.json.
type Recorded struct {
	Step    string   `json:"step"`
	Applied bool     `json:"applied"` // false: the host is as it was
	Changes []Change `json:"changes"`
}

func (r *Rootless) record(step string, changes ...Change) error {
	return Record(r.dir, r.log, step, changes...)
}

// Record writes down what is not changed here, and says so.
func Record(dir home.Dir, log zerolog.Logger, step string, changes ...Change) error {
	if changes == nil {
		changes = []Change{}
	}
	path := dir.Bosh("recorded", step+".json")
	if err := home.NoteJSON(path, Recorded{Step: step, Changes: changes}); err != nil {
		return err
	}
	if len(changes) > 0 {
		what := make([]string, len(changes))
		for i, c := range changes {
			what[i] = c.What
		}
		log.Info().Str("op", step).Strs("changes", what).Msg("recorded, the host is not changed")
	}
	return nil
}
