package ui_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/ui"
)

var update = flag.Bool("update", false, "write the golden files anew")

// scene is a view and the moment it is looked at.
type scene struct {
	name string
	view *ui.View
	now  time.Time
}

var dawn = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func scenes() []scene {
	const mib = 1 << 20
	begin := func(step string, in messages.StepInputs) (*ui.View, func(time.Duration, messages.Progress)) {
		v := &ui.View{Footer: "Ctrl-C detaches; the create goes on"}
		story := ui.NewStory(run, messages.VerbCreate)
		id := messages.StepID("abcdefgh", step, 1)
		for _, l := range story.Fact(run, dawn, messages.StepIntended{Step: step, StepID: id, Inputs: in}) {
			v.Fold(l)
		}
		return v, func(after time.Duration, p messages.Progress) {
			p.StepID = id
			for _, l := range story.Progress(run, dawn.Add(after), p) {
				v.Fold(l)
			}
		}
	}
	var out []scene
	add := func(name string, v *ui.View, after time.Duration) { out = append(out, scene{name, v, dawn.Add(after)}) }

	v, _ := begin("wait_agent", messages.StepInputs{})
	add("a step that has just begun", v, 0)

	v, tell := begin("wait_agent", messages.StepInputs{})
	tell(5*time.Second, messages.Progress{Message: "no heartbeat of the agent bm-1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed yet"})
	add("a step that waits", v, 65*time.Second)

	v, tell = begin("create_stemcell", messages.StepInputs{StemcellName: "dev", StemcellSHA1: "1"})
	tell(time.Second, messages.Progress{Message: "uploading the stemcell", Done: 100 * mib, Total: 1126 * mib})
	add("bytes, the rate not known yet", v, 2*time.Second)

	v, tell = begin("create_stemcell", messages.StepInputs{StemcellName: "dev", StemcellSHA1: "1"})
	for i := range 14 {
		tell(time.Duration(i)*time.Second, messages.Progress{Message: "uploading the stemcell", Done: int64(i) * 36 * mib, Total: 1126 * mib})
	}
	add("bytes", v, 13*time.Second)

	v, tell = begin("create_stemcell", messages.StepInputs{StemcellName: "dev", StemcellSHA1: "1"})
	tell(time.Second, messages.Progress{Message: "uploading the stemcell", Done: 900 * mib, Total: 1126 * mib})
	tell(2*time.Second, messages.Progress{Message: "uploading the stemcell", Done: 10 * mib, Total: 1126 * mib})
	tell(3*time.Second, messages.Progress{Message: "uploading the stemcell", Done: 20 * mib, Total: 1126 * mib})
	add("bytes, begun again", v, 3*time.Second)

	v, tell = begin("create_stemcell", messages.StepInputs{StemcellName: "dev", StemcellSHA1: "1"})
	tell(time.Second, messages.Progress{Message: "uploading the stemcell", Done: 100 * mib})
	tell(3*time.Second, messages.Progress{Message: "uploading the stemcell", Done: 120 * mib})
	add("bytes of nobody knows how many", v, 3*time.Second)

	v, tell = begin("create_vm", messages.StepInputs{StemcellCID: "5f0c6a6e-6f0e-5b1e-8d1c-3f4f0e0b7a11"})
	tell(time.Second, messages.Progress{Message: "the cloud says: \x1b[2J\n 日本語のエラー, and very much more than fits into one line of a terminal"})
	add("hostile and wide text", v, 3725*time.Second)

	v, _ = begin("apply", messages.StepInputs{})
	add("a clock that is behind", v, -time.Minute)
	return out
}

// TestViewGolden shows the same moments at several widths. The files are what a
// person sees: read them when they change.
func TestViewGolden(t *testing.T) {
	t.Parallel()
	for _, width := range []int{20, 40, 80, 200} {
		var b strings.Builder
		for _, s := range scenes() {
			fmt.Fprintf(&b, "-- %s --\n", s.name)
			for _, line := range s.view.Render(s.now, width) {
				b.WriteString(line + "\n")
			}
		}
		golden(t, fmt.Sprintf("view-%d.txt", width), b.String())
	}
}

func TestViewOfNothing(t *testing.T) {
	t.Parallel()
	if lines := (&ui.View{Footer: "x"}).Render(dawn, 80); lines != nil {
		t.Errorf("nothing is under way, and %q is seen", lines)
	}
	for _, width := range []int{-1, 0, 1, 2, 3, 7} {
		for _, s := range scenes() {
			for _, line := range s.view.Render(s.now, width) {
				if n := len([]rune(line)); n > max(0, width) {
					t.Errorf("%s at %d columns: %q", s.name, width, line)
				}
			}
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}
