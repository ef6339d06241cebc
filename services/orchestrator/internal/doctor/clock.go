package doctor

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/services/orchestrator/internal/journal"
)

const (
	// skewed is how far apart two clocks may be. Deadlines are absolute times of
	// minutes, tokens and certificates are strict.
	skewed = 5 * time.Second

	// enough facts of one writer tell its clock: one that was sent again after
	// an outage looks old.
	enough = 3
)

const clockHint = "have its host follow a time server: `timedatectl` shows whether it does"

// Clocks compares the bus's clock with this host's, and those of who wrote
// facts with the bus's.
func Clocks(h bus.Health, facts []journal.Stamp) Check {
	c := Check{Name: "clocks", About: "within " + skewed.String()}
	if apart := h.Ahead.Abs(); apart > skewed {
		c.add(fmt.Sprintf("the clock of the bus is %s %s this host's", apart.Round(time.Second), side(h.Ahead)), clockHint)
	}
	writers := map[string][]time.Duration{}
	for _, f := range facts {
		writers[f.Source] = append(writers[f.Source], f.Written.Sub(f.Stored))
	}
	for _, source := range slices.Sorted(maps.Keys(writers)) {
		// Every fact was written before it was stored: the quickest one tells the
		// clock best.
		if ahead := slices.Max(writers[source]); len(writers[source]) >= enough && ahead.Abs() > skewed {
			c.add(fmt.Sprintf("the clock of %s was %s %s the bus's", source, ahead.Abs().Round(time.Second), side(ahead)), clockHint)
		}
	}
	return c
}

func side(ahead time.Duration) string {
	if ahead > 0 {
		return "before"
	}
	return "behind"
}
