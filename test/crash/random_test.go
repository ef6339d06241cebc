package crash_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

// TestRandomRuns has two orchestrators and two CPIs live through random
// histories: commands, and between any two facts of the journal a kill, a
// freeze, a partition, a step command once more, or a cloud that misbehaves.
// Whatever happened, the next plain deploy makes it whole and delete leaves
// nothing. -rapid.checks says how many, -rapid.seed repeats one.
func TestRandomRuns(t *testing.T) {
	for i := range min(*worlds, *histories) {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			randomRuns(t)
		})
	}
}

func randomRuns(t *testing.T) {
	l := lab.New(t, lab.Options{Orchestrators: 2, CPIs: 2, Proxies: true})
	l.BuildStemcell()
	w := &world{Lab: l, t: t, ops: l.Connect(messages.RoleOps), tally: &tally{}, size: 1024}
	admin := l.Connect(messages.RoleAdmin)
	rapid.Check(t, func(r *rapid.T) {
		for i := range rapid.IntRange(1, 3).Draw(r, "commands") {
			verb := rapid.SampledFrom([]string{"deploy", "deploy", "deploy", "delete"}).Draw(r, "verb")
			args := []string{"deploy", w.Stemcell, "-n", "--update-if-exists"}
			if verb == "delete" {
				args = []string{"delete", "-n"}
			}
			w.WriteManifest(rapid.SampledFrom([]int{1024, 2048}).Draw(r, "disk"), rapid.SampledFrom([]string{"", "x"}).Draw(r, "config"))
			mischief := rapid.SliceOfN(rapid.Custom(drawMischief), 1, 4).Draw(r, fmt.Sprint("mischief", i))
			w.live(r, admin, args, mischief)
		}
		w.heal(r)
	})
}

// mischief happens after so many facts of a run.
type mischief struct {
	after  int
	kind   string
	victim int
	fault  lab.Fault
}

func drawMischief(r *rapid.T) mischief {
	m := mischief{
		after:  rapid.IntRange(1, 12).Draw(r, "after"),
		kind:   rapid.SampledFrom([]string{"kill", "kill", "freeze", "sever", "partition", "repeat", "fault"}).Draw(r, "kind"),
		victim: rapid.IntRange(0, 6).Draw(r, "victim"),
	}
	m.fault = rapid.SampledFrom([]lab.Fault{
		{Mode: "drop", Method: "POST", Count: 1}, {Mode: "late503", Method: "POST", Count: 1}, {Mode: "delay", DelayMS: 300, Count: 3},
		{Mode: "hide", Method: "POST", Lists: 3, Count: 1}, {Mode: "fail", Status: 429, Count: 2}, {Mode: "fail", Status: 503, Count: 2},
		{Mode: "truncate", Count: 1}, {Mode: "expire", Count: 1}, {Mode: "duplicate", Method: "POST", Path: "/servers$", Count: 1},
		{Mode: "error", Method: "POST", Path: "/servers$", Count: 1},
	}).Draw(r, "fault")
	return m
}

// live runs a command while mischief happens.
func (w *world) live(r *rapid.T, admin *bus.Conn, args []string, all []mischief) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	from, err := w.ops.Last(ctx, messages.StreamJournal, messages.JournalFilter(w.Name))
	if err != nil {
		from.Seq = 0
	}
	feed, err := w.ops.Follow(ctx, messages.StreamJournal, []string{messages.JournalFilter(w.Name)}, bus.Start{Sequence: from.Seq + 1})
	if err != nil {
		r.Fatal(err)
	}
	var undo sync.WaitGroup
	chaos := make(chan struct{})
	chaosCtx, calm := context.WithCancel(ctx)
	go func() {
		defer close(chaos)
		for n := 1; ; n++ {
			if _, err := feed.Next(chaosCtx); err != nil {
				return
			}
			for _, m := range all {
				if m.after == n {
					w.play(chaosCtx, admin, m, &undo)
				}
			}
		}
	}()
	out, code := w.CLI(args...)
	calm()
	<-chaos
	feed.Stop()
	undo.Wait()
	w.Faults()
	r.Logf("%v ended with %d: %.300s", args, code, out)
}

func (w *world) services() []*lab.Process {
	return []*lab.Process{w.Orchestrators[0], w.Orchestrators[1], w.CPIs[0], w.CPIs[1], w.Registry, w.Bus}
}

// play does one mischief and sees that it is undone.
func (w *world) play(ctx context.Context, admin *bus.Conn, m mischief, undo *sync.WaitGroup) {
	names := []string{"orchestrator0", "orchestrator1", "cpi0", "cpi1", "registry"}
	switch m.kind {
	case "kill":
		if m.victim >= len(w.services()) {
			for _, pid := range w.agents() {
				_ = syscall.Kill(pid, syscall.SIGKILL) // devcloud's keeper starts it again
			}
			return
		}
		if p := w.services()[m.victim]; p.Kill() {
			undo.Go(p.Restart)
		}
	case "freeze":
		p := w.services()[m.victim%4]
		p.Freeze()
		undo.Go(func() {
			pause(ctx, 5*time.Second) // longer than AckWait: another takes over
			p.Thaw()
		})
	case "sever":
		w.Proxies[names[m.victim%len(names)]].Sever()
	case "partition":
		proxy := w.Proxies[names[m.victim%len(names)]]
		proxy.Down()
		undo.Go(func() {
			pause(ctx, 2*time.Second)
			proxy.Up()
		})
	case "repeat":
		w.repeat(ctx, admin)
	case "fault":
		w.Faults(m.fault)
	}
}

// pause is how long a fault lasts, or until the command has ended.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// repeat sends the step command in flight once more, as a lost acknowledgement
// does.
func (w *world) repeat(ctx context.Context, admin *bus.Conn) {
	pending, err := admin.Read(ctx, messages.StreamStep, ">", 0)
	if err != nil || len(pending) == 0 {
		return
	}
	last := pending[len(pending)-1]
	_, _ = admin.Send(ctx, last.Subject, "", last.Data) // the bus may be away: then nothing is repeated
}

// heal is the end of a history: a plain deploy, a plain delete.
func (w *world) heal(r *rapid.T) {
	w.WriteManifest(1024, "healed")
	out, code := w.CLI("deploy", w.Stemcell, "-n", "--update-if-exists")
	if code != 0 {
		r.Fatalf("a plain deploy after it all ended with %d:\n%s", code, out)
	}
	w.check(point{phase: phaseCreate, target: "random run"})
	if out, code := w.CLI("delete", "-n"); code != 0 {
		r.Fatalf("a plain delete after it all ended with %d:\n%s", code, out)
	}
	w.check(point{phase: phaseDelete, target: "random run"})
}
