package crash_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/test/lab"
)

// arm counts the target's messages. An agent and the bus have no proxy of their
// own: they are killed at the orchestrator's messages.
func (w *world) arm(p point, kill func()) (disarm func()) {
	if p.target == callOfCPI {
		return w.armCall(p, kill)
	}
	name := map[string]string{"orchestrator": "orchestrator0", "cpi": "cpi0", "registry": "registry", "agent": "orchestrator0", "bus": "orchestrator0"}[p.target]
	proxy := w.Proxies[name]
	var mu sync.Mutex
	n := 0
	proxy.Hook(func(m bustest.Message) bustest.Action {
		if !m.FromClient || strings.HasPrefix(m.Subject, "$JS.API.CONSUMER.MSG.NEXT") {
			return bustest.Pass
		}
		mu.Lock()
		n++
		hit := n == p.n
		mu.Unlock()
		if !hit {
			return bustest.Pass
		}
		if p.after {
			// The message is on its way when the process ends.
			time.AfterFunc(0, kill)
			return bustest.CutAfter
		}
		kill()
		return bustest.Cut
	})
	return func() { proxy.Hook(nil) }
}

// armCall lets the cloud hold the CPI's n-th call, before it takes effect or
// with the answer, until the CPI is dead.
func (w *world) armCall(p point, kill func()) (disarm func()) {
	mode := "hold"
	if p.after {
		mode = "hold_after"
	}
	w.Faults(lab.Fault{Mode: mode, Skip: p.n - 1, Count: 1})
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if w.Holds(ctx) {
			kill()
			w.Release()
		}
	}()
	return func() {
		cancel()
		<-ended
		w.Faults()
		w.Release()
	}
}

func (w *world) kill(target string) {
	switch target {
	case "orchestrator":
		w.Orchestrators[0].Kill()
	case "cpi", callOfCPI:
		w.CPIs[0].Kill()
	case "registry":
		w.Registry.Kill()
	case "bus":
		w.Bus.Kill()
	case "agent":
		for _, pid := range w.agents() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // devcloud's keeper starts it again
		}
	}
}

func (w *world) restart(target string) {
	switch target {
	case "orchestrator":
		w.Orchestrators[0].Restart()
	case "cpi", callOfCPI:
		w.CPIs[0].Restart()
	case "registry":
		w.Registry.Restart()
	case "bus":
		w.Bus.Restart()
	}
}

// agents are the agents of this lab's servers, found by where their program is.
func (w *world) agents() []int {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		w.t.Fatal(err)
	}
	var out []int
	for _, link := range links {
		exe, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(exe, w.State()) || !strings.HasSuffix(exe, "bosh/bin/bosh-agent") {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil {
			out = append(out, pid)
		}
	}
	return out
}
