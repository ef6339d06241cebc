package settings_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
)

// controller is the orchestrator's side of identities.
type controller struct {
	conn *bus.Conn
	ring *seal.Ring
}

func (h *house) controller(t *testing.T, url string) controller {
	t.Helper()
	ring, err := seal.OpenRing(filepath.Join(h.dir, "keys"), messages.RoleOrchestrator)
	if err != nil {
		t.Fatal(err)
	}
	return controller{h.connect(t, url, messages.RoleOrchestrator), ring}
}

func (c controller) create(t *testing.T, agentID string) (messages.Identity, error) {
	t.Helper()
	var reply messages.IdentityReply
	var id messages.Identity
	err := c.conn.Call(within(t), messages.ServiceSubject(messages.ServiceRegistry, messages.SvcIdentityCreate),
		messages.IdentityCreate{AgentID: agentID, Asker: c.ring.Public()}, &reply)
	if err != nil {
		return id, err
	}
	return id, c.ring.Open(reply.Identity, &id)
}

func (c controller) revoke(t *testing.T, agentID string) error {
	t.Helper()
	return c.conn.Call(within(t), messages.ServiceSubject(messages.ServiceRegistry, messages.SvcIdentityRevoke),
		messages.IdentityRevoke{AgentID: agentID}, nil)
}

func (h *house) bus(t *testing.T) string {
	t.Helper()
	url, err := embed.ReadAddress(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// login logs in as an agent; lost is closed once the server has cut it.
func login(t *testing.T, url string, id messages.Identity) (*bus.Conn, <-chan struct{}, error) {
	t.Helper()
	dialer := &cutDialer{lost: make(chan struct{})}
	c, err := bus.Connect(within(t), bus.Options{URL: url, User: id.User, Password: id.Password, Dialer: dialer})
	if err == nil {
		t.Cleanup(c.Close)
	}
	return c, dialer.lost, err
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	h := begin(t)
	url := h.bus(t)
	c := h.controller(t, url)
	first, err := c.create(t, "bm-1")
	if err != nil || first.User != "bm-1" || len(first.Password) < 20 {
		t.Fatalf("create: %q %v", first.User, err)
	}
	if again, err := c.create(t, "bm-1"); err != nil || again != first {
		t.Fatalf("a repeat got another identity: %v", err)
	}
	other, err := c.create(t, "bm-2")
	if err != nil || other.Password == first.Password {
		t.Fatalf("two agents share a password: %v", err)
	}
	one, lost, err := login(t, url, first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.Subscribe(within(t), messages.AgentSubject("bm-2"), func(bus.Msg) {}); messages.CodeOf(err) != messages.CodeBusDenied {
		t.Errorf("an agent hears another: %v", err)
	}
	two, _, err := login(t, url, other)
	if err != nil {
		t.Fatal(err)
	}

	h.stop() // identities outlive the registry
	h.run(t, url)
	if again, err := c.create(t, "bm-1"); err != nil || again != first {
		t.Fatalf("after a restart: %v", err)
	}
	if err := c.revoke(t, "bm-1"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-lost:
	case <-within(t).Done():
		t.Fatal("the connection of a revoked agent was not cut")
	}
	if err := two.Flush(within(t)); err != nil {
		t.Errorf("the other agent was cut, too: %v", err)
	}
	if _, _, err := login(t, url, first); messages.CodeOf(err) != messages.CodeBusDenied {
		t.Errorf("a revoked agent logs in: %v", err)
	}
	for range 2 {
		if _, err := c.create(t, "bm-1"); messages.CodeOf(err) != messages.CodeBusDenied || messages.AsError(err).Hint == "" {
			t.Errorf("a revoked identity comes back: %v", err)
		}
		if err := c.revoke(t, "bm-1"); err != nil {
			t.Errorf("a repeated revoke: %v", err)
		}
	}
	for _, password := range []string{first.Password, other.Password} {
		if strings.Contains(h.log.String(), password) {
			t.Error("the log tells a password")
		}
	}
}

func TestForeignLogins(t *testing.T) {
	t.Parallel()
	h := begin(t)
	url := h.bus(t)
	c := h.controller(t, url)
	id, err := c.create(t, "bm-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.revoke(t, "bm-never"); err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]messages.Identity{
		"no password":      {User: "bm-1"},
		"wrong password":   {User: "bm-1", Password: marker},
		"another's name":   {User: "bm-2", Password: id.Password},
		"never made":       {User: "bm-never"},
		"a wildcard":       {User: "*", Password: id.Password},
		"a longer subject": {User: "bm-1.x", Password: id.Password},
		"a long name":      {User: strings.Repeat("a", 500), Password: id.Password},
		"the shared user":  {User: "agent", Password: id.Password},
	} {
		if _, _, err := login(t, url, id); messages.CodeOf(err) != messages.CodeBusDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "*", "a.b", ">", strings.Repeat("a", 500)} {
		if _, err := c.create(t, bad); messages.CodeOf(err) != messages.CodeInvalidName {
			t.Errorf("create %.20q: %v", bad, err)
		}
		if err := c.revoke(t, bad); messages.CodeOf(err) != messages.CodeInvalidName {
			t.Errorf("revoke %.20q: %v", bad, err)
		}
	}
}

// Many who ask at once get the same identity.
func TestIdentityIsMadeOnce(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c := h.controller(t, h.bus(t))
	var group sync.WaitGroup
	ids := make([]messages.Identity, 8)
	for i := range ids {
		group.Go(func() {
			var err error
			if ids[i], err = c.create(t, "bm-1"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Error("two identities for one agent")
		}
	}
}
