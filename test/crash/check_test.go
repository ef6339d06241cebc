package crash_test

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

// check is what must hold after a phase: the cloud is what the journal says,
// nothing is there twice, and no message is stuck.
func (w *world) check(p point) {
	w.t.Helper()
	inv := w.Inventory()
	want := 1
	if p.phase == phaseDelete || p.phase == phaseCancel {
		want = 0
	}
	for kind, items := range map[string][]lab.Item{"server": inv.Servers, "volume": inv.Volumes, "image": inv.Images, "port": inv.Ports} {
		if len(items) != want {
			w.t.Fatalf("after %s there are %d of kind %s, want %d: %+v", p, len(items), kind, want, items)
		}
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	if want == 1 {
		w.matches(p, inv)
	}
	for _, stream := range []string{messages.StreamCommand, messages.StreamStep} {
		left, err := w.ops.Read(ctx, stream, ">", 0)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(left) > 0 && !w.drains(ctx, stream) {
			w.t.Fatalf("after %s %d messages are stuck in %s, the first on %s", p, len(left), stream, left[0].Subject)
		}
	}
}

// drains waits for the acknowledgement of what was worked off already.
func (w *world) drains(ctx context.Context, stream string) bool {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		left, err := w.ops.Read(ctx, stream, ">", 0)
		if err == nil && len(left) == 0 {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

// matches compares the journal's fold with the cloud.
func (w *world) matches(p point, inv lab.Inventory) {
	w.t.Helper()
	out, code := w.CLI("status", "--json")
	if code != 0 {
		w.t.Fatalf("after %s status ended with %d:\n%s", p, code, out)
	}
	for kind, cid := range map[string]string{"VM": inv.Servers[0].ID, "disk": inv.Volumes[0].ID, "stemcell": inv.Images[0].ID} {
		if !strings.Contains(out, cid) {
			w.t.Fatalf("after %s the journal does not know the %s %s:\n%s", p, kind, cid, out)
		}
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(strings.TrimSpace(out)), &object); err != nil {
		w.t.Fatalf("status --json is no object: %v\n%s", err, out)
	}
}
