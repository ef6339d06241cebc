package main_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/agent/internal/mbus"
)

// Debian's monit keeps the job, and its alert comes by SMTP.
func TestRealMonit(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("monit"); err != nil {
		t.Skip("monit is not installed: `make deps-root` installs Debian's")
	}
	v := newVM(t)
	v.args = []string{"-M", "monit"}
	v.boot()
	v.beat("")
	v.want(v.run("apply", "", v.spec(nil)), `"applied"`)
	v.want(v.call("start"), `"started"`)
	if state := string(v.call("get_state").Value); !strings.Contains(state, `"job_state":"running"`) || !strings.Contains(state, `"name":"web"`) {
		t.Errorf("got %s", state)
	}
	pid := filepath.Join(v.base, "sys", "run", "web", "web.pid")
	before := readPID(pid)
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for limit := time.After(patience); ; {
		select {
		case a := <-v.alerts:
			if !strings.HasPrefix(a.Title, "web (127.9.0.7) - ") || a.ID == "" {
				t.Errorf("got %+v", a)
			}
			if a.Severity != 1 {
				continue
			}
		case <-limit:
			t.Fatal("no alert")
		}
		break
	}
	v.want(v.run("stop", ""), `"stopped"`)
	if after := readPID(pid); after == before || (after != 0 && syscall.Kill(after, 0) == nil) {
		t.Errorf("web was %d and is %d", before, after)
	}
}

// With env.bosh.credentials nothing is said or heard in clear.
func TestEncryptedMessages(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	keys := mbus.Credentials{CryptKey: "crypt-secret", SignKey: "sign-secret"}
	v.env = map[string]any{"credentials": map[string]string{"crypt_key": keys.CryptKey, "sign_key": keys.SignKey}}
	v.boot()
	v.beat("")
	answers := make(chan []byte, 10)
	v.listen("director.sealed.>", func(m bus.Msg) { answers <- m.Data })
	peer, err := mbus.NewPeer(keys, "director", "session-1")
	if err != nil {
		t.Fatal(err)
	}
	reply := messages.ReplySubject("sealed", agentID, "1")
	send := func(body []byte) {
		if err := v.conn.Publish(messages.AgentSubject(agentID), body); err != nil {
			t.Fatal(err)
		}
	}
	send([]byte(`{"method":"ping","arguments":[],"reply_to":"` + reply + `"}`))
	first, err := peer.Seal(reply, []byte(`{"method":"noop","arguments":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	send(first)
	send(first) // said again
	second, err := peer.Seal(reply, []byte(`{"method":"ping","arguments":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	send(second)
	var heard string
	for range 2 {
		select {
		case body := <-answers:
			plain, err := peer.Open(body)
			if err != nil || strings.Contains(string(body), "pong") {
				t.Fatalf("got %s %v", body, err)
			}
			heard += string(plain)
		case <-time.After(patience):
			t.Fatal("no answer")
		}
	}
	if !strings.Contains(heard, `"pong"`) || !strings.Contains(heard, `"nope"`) {
		t.Errorf("heard %s", heard)
	}
	if err := v.conn.Flush(v.ctx()); err != nil {
		t.Fatal(err)
	}
	if len(answers) > 0 {
		t.Errorf("an answer too many: %s", <-answers)
	}
	v.noSecrets("crypt-secret", "sign-secret")
}
