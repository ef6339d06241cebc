package bench

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

var (
	enabled = flag.Bool("bench.run", false, "run the benchmarks (make bench)")
	rounds  = flag.Int("bench.rounds", 10, "how often each verb is measured")
	many    = flag.Int("bench.many", 200, "the largest number of deployments at once")
)

func need(t *testing.T) {
	t.Helper()
	if !*enabled {
		t.Skip("a benchmark: `make bench` runs it")
	}
}

func median(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}

func table() *tabwriter.Writer { return tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0) }

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// floor is what the bus alone costs for as many stored messages and requests as
// a run sends, one after the other.
func (d *deployer) floor(t *testing.T, stored int) time.Duration {
	t.Helper()
	admin := d.Connect(messages.RoleAdmin)
	body := []byte(strings.Repeat("x", 600))
	began := time.Now()
	for range stored {
		if _, err := admin.Send(t.Context(), messages.EventSubject("floor", "bench", "nothing"), "", body); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(began)
}

// stored counts the messages that one run stored, by the streams' own count.
func (d *deployer) stored(t *testing.T, name string) int {
	t.Helper()
	n := 0
	for stream, filter := range map[string]string{
		messages.StreamJournal: messages.JournalFilter(name), messages.StreamEvent: messages.EventFilter(name), messages.StreamResult: messages.ResultFilter(name),
	} {
		msgs, err := d.conn.Read(t.Context(), stream, filter, 0)
		if err != nil {
			t.Fatal(err)
		}
		n += len(msgs)
		if stream == messages.StreamResult {
			n += len(msgs) // and the step command that each answers
		}
	}
	return n + 1 // the request
}

// TestDeploy measures each verb twice: with servers that boot a VM, and with
// the control plane alone, whose agents and Directors answer at once.
func TestDeploy(t *testing.T) {
	need(t)
	for label, o := range map[string]lab.Options{"with VMs": {}, "control plane alone": {NoBoot: true}} {
		t.Run(label, func(t *testing.T) {
			d := newDeployer(t, o)
			if o.NoBoot {
				standIn(t, d)
			}
			d.verbs(t, label)
			d.Stop()
		})
	}
}

func (d *deployer) verbs(t *testing.T, title string) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	took := map[string][]time.Duration{}
	perStep := map[string][]time.Duration{}
	var order1 []string
	var stored int
	for i := range *rounds {
		name := fmt.Sprintf("b%d", i)
		uid := strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
		for _, c := range []struct {
			label string
			order order
		}{
			{"create", order{name, uid, messages.VerbCreate, 1024, ""}},
			{"no-op", order{name, uid, messages.VerbUpdate, 1024, ""}},
			{"update", order{name, uid, messages.VerbUpdate, 1024, "x"}},
			{"update with migration", order{name, uid, messages.VerbUpdate, 2048, "x"}},
			{"delete", order{name, uid, messages.VerbDelete, 2048, "x"}},
		} {
			wall, steps, err := d.run(ctx, c.order)
			if err != nil {
				t.Fatal(err)
			}
			took[c.label] = append(took[c.label], wall)
			if c.label != "create" {
				continue
			}
			if stored == 0 {
				stored = d.stored(t, name)
			}
			for _, s := range steps {
				if len(perStep[s.name]) == 0 {
					order1 = append(order1, s.name)
				}
				perStep[s.name] = append(perStep[s.name], s.took)
			}
		}
	}
	floor := d.floor(t, stored)
	w := table()
	fmt.Fprintf(w, "\n%s\tmedian\tworst\n", title)
	for _, label := range []string{"create", "no-op", "update", "update with migration", "delete"} {
		fmt.Fprintf(w, "%s\t%s\t%s\n", label, ms(median(took[label])), ms(slices.Max(took[label])))
	}
	fmt.Fprintf(w, "bus floor of a create (%d stored messages)\t%s\t\n", stored, ms(floor))
	fmt.Fprintf(w, "create / floor\t%.1f\t\n\nstep of a create\tmedian\t\n", float64(median(took["create"]))/float64(floor))
	for _, name := range order1 {
		fmt.Fprintf(w, "%s\t%s\t\n", name, ms(median(perStep[name])))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// TestManyAtOnce creates many deployments at once, with the control plane alone
// and, as far as this machine can start them, with VMs.
func TestManyAtOnce(t *testing.T) {
	need(t)
	for _, c := range []struct {
		label string
		alone bool
		sizes []int
	}{{"control plane alone", true, []int{1, 20, 200}}, {"with VMs", false, []int{1, 20}}} {
		t.Run(c.label, func(t *testing.T) { atOnce(t, c.label, c.alone, c.sizes) })
	}
}

func atOnce(t *testing.T, label string, alone bool, sizes []int) {
	w := table()
	fmt.Fprintf(w, "\nat once, %s\twall\tslowest\tCPU of the control plane\tmemory (peak, sum)\n", label)
	for _, n := range sizes {
		if n > *many {
			break
		}
		d := newDeployer(t, lab.Options{NoBoot: alone, NoQuota: true})
		if alone {
			standIn(t, d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		cpu := d.CPU()
		var wg sync.WaitGroup
		walls := make([]time.Duration, n)
		errs := make([]error, n)
		began := time.Now()
		for i := range n {
			wg.Go(func() {
				uid := strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
				walls[i], _, errs[i] = d.run(ctx, order{fmt.Sprintf("m%d", i), uid, messages.VerbCreate, 1024, ""})
			})
		}
		wg.Wait()
		wall := time.Since(began)
		for _, err := range errs {
			if err != nil {
				t.Error(err)
			}
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d MB\n", n, ms(wall), ms(slices.Max(walls)), ms(d.CPU()-cpu), d.Memory()>>20)
		cancel()
		d.Stop()
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}
