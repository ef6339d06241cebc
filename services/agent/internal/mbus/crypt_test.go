package mbus_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/services/agent/internal/mbus"
)

var keys = mbus.Credentials{CryptKey: "crypt key", SignKey: "sign key"}

func ends(t *testing.T) (*mbus.Peer, *mbus.Crypt) {
	t.Helper()
	peer, err := mbus.NewPeer(keys, "director", "s-1")
	if err != nil {
		t.Fatal(err)
	}
	crypt, err := mbus.NewCrypt(keys, "agent-1")
	if err != nil {
		t.Fatal(err)
	}
	return peer, crypt
}

func TestEncryptedConversation(t *testing.T) {
	t.Parallel()
	peer, crypt := ends(t)
	sealed, err := peer.Seal("director.d.agent-1.1", []byte(`{"method":"ping","arguments":["words"],"reply_to":"somewhere"}`))
	if err != nil || bytes.Contains(sealed, []byte("ping")) {
		t.Fatalf("%s %v", sealed, err)
	}
	message, session, err := crypt.Open(sealed)
	if err != nil || session != "s-1" {
		t.Fatal(session, err)
	}
	req, err := mbus.Parse(message)
	if err != nil || req.Method != "ping" || req.ReplyTo != "director.d.agent-1.1" || len(req.Arguments) != 1 {
		t.Errorf("got %+v %v", req, err)
	}
	reply, err := crypt.Seal(session, []byte(`{"value":"pong"}`))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := peer.Open(reply)
	var out struct{ Value string }
	if err != nil || json.Unmarshal(plain, &out) != nil || out.Value != "pong" {
		t.Errorf("got %s %v", plain, err)
	}
	if _, _, err := crypt.Open(sealed); err == nil || err.Error() != "invalid sequence number" {
		t.Errorf("said again: %v", err)
	}
	if _, err := peer.Open(reply); err == nil {
		t.Error("a reply was taken twice")
	}
}

func TestWhatIsNotSealedIsDropped(t *testing.T) {
	t.Parallel()
	_, crypt := ends(t)
	other, err := mbus.NewPeer(mbus.Credentials{CryptKey: "crypt key", SignKey: "another"}, "x", "s-2")
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := other.Seal("r", []byte(`{"method":"ping"}`))
	if err != nil {
		t.Fatal(err)
	}
	peer, _ := ends(t)
	good, err := peer.Seal("r", []byte(`{"method":"ping"}`))
	if err != nil {
		t.Fatal(err)
	}
	stolen := strings.Replace(string(good), `"session_id":"s-1"`, `"session_id":"s-3"`, 1)
	for name, body := range map[string]string{
		"clear": `{"method":"ping","reply_to":"r"}`, "nothing": "", "unsigned": string(unsigned), "another session": stolen,
		"garbage": `{"session_id":"s","encrypted_data":"!!"}`, "short": `{"session_id":"s","encrypted_data":"U2FsdGVkX18="}`,
	} {
		if m, _, err := crypt.Open([]byte(body)); err == nil {
			t.Errorf("%s was read: %s", name, m)
		}
	}
	if _, err := mbus.NewCrypt(mbus.Credentials{CryptKey: "x"}, "a"); err == nil {
		t.Error("half of the credentials are enough")
	}
}

// The cipher is OpenSSL's.
func TestOpenSSLReadsIt(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	peer, _ := ends(t)
	sealed, err := peer.Seal("r", []byte(`{"method":"ping"}`))
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		Data string `json:"encrypted_data"`
	}
	if err := json.Unmarshal(sealed, &e); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(openssl, "enc", "-d", "-aes-256-cbc", "-md", "md5", "-a", "-pass", "pass:"+keys.CryptKey)
	cmd.Stdin = strings.NewReader(e.Data)
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), `"hmac"`) || !strings.Contains(string(out), "ping") {
		t.Errorf("got %s %v", out, err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"reply_to":"r","session_id":"s","encrypted_data":"U2FsdGVkX18AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		crypt, err := mbus.NewCrypt(keys, "agent-1")
		if err != nil {
			t.Fatal(err)
		}
		if m, _, err := crypt.Open(body); err == nil {
			t.Errorf("nobody sealed %s", m)
		}
	})
}
