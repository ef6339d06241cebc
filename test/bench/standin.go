package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
)

// vms answers for every VM's agent and Director, at once: what is left of a
// deploy's time is the control plane's own.
type vms struct {
	conn *bus.Conn

	mu    sync.Mutex
	disks map[string]string // guarded by mu: agent id -> what is mounted
	doors map[string]bool   // guarded by mu: addresses that have a Director
}

// standIn answers until the test ends.
func standIn(t testing.TB, d *deployer) {
	t.Helper()
	v := &vms{conn: d.Connect(messages.RoleAdmin), disks: map[string]string{}, doors: map[string]bool{}}
	stop, err := v.conn.Subscribe(t.Context(), messages.AgentSubject("*"), func(m bus.Msg) {
		if err := v.agent(m); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	feed, err := v.conn.Follow(t.Context(), messages.StreamJournal, []string{messages.JournalFilter("*")}, bus.Start{New: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			m, err := feed.Next(ctx)
			if err != nil {
				return // the test has ended
			}
			v.director(t, m)
		}
	})
	t.Cleanup(func() { cancel(); ended.Wait(); feed.Stop() })
}

// agent answers as one whose every task takes no time.
func (v *vms) agent(m bus.Msg) error {
	var r messages.AgentRequest
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return fmt.Errorf("cannot read a request to an agent: %w", err)
	}
	id := strings.TrimPrefix(m.Subject, messages.AgentPrefix)
	argument := func() (s string) {
		if len(r.Arguments) > 0 {
			_ = json.Unmarshal(r.Arguments[0], &s) // what is no string is no CID
		}
		return s
	}
	var value any = map[string]any{}
	v.mu.Lock()
	switch r.Method {
	case "ping":
		value = "pong"
	case "mount_disk":
		v.disks[id] = argument()
		value = messages.AgentTask{AgentTaskID: r.Method, State: "running"}
	case "migrate_disk", "unmount_disk", "stop", "apply", "start", "run_script":
		value = messages.AgentTask{AgentTaskID: r.Method, State: "running"}
	case "list_disk":
		value = []string{v.disks[id]}
	}
	v.mu.Unlock()
	body, err := json.Marshal(map[string]any{"value": value})
	if err != nil {
		return fmt.Errorf("cannot encode an agent's reply: %w", err)
	}
	return v.conn.Publish(r.ReplyTo, body)
}

// director opens a VM's /info once its address is known.
func (v *vms) director(t testing.TB, m bus.Msg) {
	var done messages.StepDone
	e, err := messages.Decode(m.Data, nil)
	if err != nil || e.TypeName(messages.ClassFact) != messages.FactStepDone || e.Into(&done) != nil || done.Step != messages.MethodDiscoverIP {
		return
	}
	var out messages.DiscoverIPOutputs
	if err := json.Unmarshal(done.Outputs, &out); err != nil {
		t.Error(err)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.doors[out.IP] {
		return
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(out.IP, "25555"))
	if err != nil {
		t.Error(err)
		return
	}
	v.doors[out.IP] = true
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"name":"micro","uuid":"director","version":"1"}`)
	}))
	_ = server.Listener.Close()
	server.Listener = listener
	server.StartTLS()
	t.Cleanup(server.Close)
}
