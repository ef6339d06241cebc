package settings_test

import (
	"testing"

	"github.com/microbosh/microbosh/pkg/messages"
)

func (c controller) lasting(t *testing.T, agentID string) (messages.Identity, error) {
	t.Helper()
	var reply messages.IdentityReply
	var id messages.Identity
	err := c.conn.Call(within(t), messages.ServiceSubject(messages.ServiceRegistry, messages.SvcIdentityCreate),
		messages.IdentityCreate{AgentID: agentID, Asker: c.ring.Public(), Lasting: true}, &reply)
	if err != nil {
		return id, err
	}
	return id, c.ring.Open(reply.Identity, &id)
}

// The first login with the lasting credential ends the first one, and cuts who
// came with it.
func TestSwap(t *testing.T) {
	t.Parallel()
	h := begin(t)
	url := h.bus(t)
	c := h.controller(t, url)
	if _, err := c.lasting(t, "bm-1"); messages.CodeOf(err) != messages.CodeBusDenied {
		t.Errorf("the lasting credential of nobody: %v", err)
	}
	first, err := c.create(t, "bm-1")
	if err != nil {
		t.Fatal(err)
	}
	lasting, err := c.lasting(t, "bm-1")
	if err != nil || lasting.Password == first.Password {
		t.Fatalf("the lasting credential: %v", err)
	}
	if again, err := c.lasting(t, "bm-1"); err != nil || again != lasting {
		t.Fatalf("a repeat got another one: %v", err)
	}
	_, lost, err := login(t, url, first)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := login(t, url, first); err != nil {
		t.Errorf("the first credential is not good until the lasting one is used: %v", err)
	}
	own, cut, err := login(t, url, lasting)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-lost:
	case <-within(t).Done():
		t.Fatal("who came with the first credential stays")
	}
	select {
	case <-cut:
		t.Error("who came with the lasting credential was cut with the others")
	default:
	}
	if _, _, err := login(t, url, first); messages.CodeOf(err) != messages.CodeBusDenied {
		t.Errorf("the first credential is good after the swap: %v", err)
	}
	if _, _, err := login(t, url, lasting); err != nil {
		t.Errorf("a second login with the lasting one: %v", err)
	}
	if err := own.Flush(within(t)); err != nil {
		t.Errorf("the lasting connection: %v", err)
	}
	if err := c.revoke(t, "bm-1"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-cut:
	case <-within(t).Done():
		t.Fatal("a revoked agent stays")
	}
	if _, _, err := login(t, url, lasting); messages.CodeOf(err) != messages.CodeBusDenied {
		t.Errorf("a revoked agent reconnects: %v", err)
	}
	if _, err := c.lasting(t, "bm-1"); messages.CodeOf(err) != messages.CodeBusDenied {
		t.Errorf("the lasting credential of a revoked agent: %v", err)
	}
}
