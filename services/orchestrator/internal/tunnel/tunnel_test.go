package tunnel_test

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/orchestrator/internal/tunnel"
	"github.com/microbosh/microbosh/services/orchestrator/internal/tunnel/tunneltest"
)

func await[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(time.Minute):
		t.Fatalf("waited too long for %s", what)
		panic("not reached")
	}
}

func onBoth(t *testing.T, test func(t *testing.T, s server, private string)) {
	t.Run("a server of the library", func(t *testing.T) {
		t.Parallel()
		private, public := tunneltest.KeyPair(t)
		test(t, ours{public}, private)
	})
	t.Run("OpenSSH", func(t *testing.T) {
		t.Parallel()
		haveOpenSSH(t)
		private, public := tunneltest.KeyPair(t)
		test(t, openssh{public}, private)
	})
}

func TestTunnel(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s server, private string) {
		registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "settings of "+r.URL.Path) }))
		t.Cleanup(registry.Close)
		address := fmt.Sprintf("127.0.0.1:%d", tunneltest.FreePort(t))
		opened, refused := make(chan bool, 8), make(chan error, 1)
		o := tunnel.Options{
			Address: address, User: s.user(t), Key: private, Port: tunneltest.FreePort(t),
			Registry: dial(registry.Listener.Addr().String()), Opened: func() { opened <- true },
		}
		host, public := tunneltest.KeyPair(t)
		met := make(chan string, 1)
		waiting := make(chan error, 64)
		first := o
		first.Told = func(err error) { waiting <- err }
		go func() {
			k, err := tunnel.Meet(t.Context(), first)
			if err != nil {
				t.Error(err)
			}
			met <- k
		}()
		await(t, "a try while nobody listens", waiting)
		stop := s.start(t, address, host)
		t.Cleanup(func() { stop() })
		o.HostKey = await(t, "the host key", met)
		if o.HostKey != strings.TrimSpace(public) {
			t.Fatalf("met %q, the host's is %q", o.HostKey, public)
		}
		x, err := tunnel.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(x.Close)
		x.Refused(func(err error) { refused <- err })
		ask := func() {
			t.Helper()
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
			resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/vm-1", o.Port))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || string(body) != "settings of /vm-1" {
				t.Errorf("through the tunnel came %q, %v", body, err)
			}
		}
		await(t, "the tunnel", opened)
		ask()

		stop()
		stop = s.start(t, address, host)
		await(t, "the tunnel again", opened)
		ask()

		stop()
		other, _ := tunneltest.KeyPair(t)
		stop = s.start(t, address, other)
		if err := await(t, "a refusal", refused); messages.CodeOf(err) != messages.CodeHostKeyChanged {
			t.Errorf("another host key: %v", err)
		}
	})
}

func TestMeetSaysWhyNot(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s server, _ string) {
		address := fmt.Sprintf("127.0.0.1:%d", tunneltest.FreePort(t))
		host, _ := tunneltest.KeyPair(t)
		stranger, _ := tunneltest.KeyPair(t)
		t.Cleanup(s.start(t, address, host))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := tunnel.Meet(ctx, tunnel.Options{Address: address, User: s.user(t), Key: stranger, Told: func(err error) {
			if strings.Contains(err.Error(), "unable to authenticate") {
				cancel()
			}
		}})
		if err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
			t.Errorf("with a key that the VM does not know: %v", err)
		}
	})
}

func TestCheckKey(t *testing.T) {
	t.Parallel()
	private, public := tunneltest.KeyPair(t)
	_, secret, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(secret, "", []byte("marker"))
	if err != nil {
		t.Fatal(err)
	}
	protected := string(pem.EncodeToMemory(block))
	for name, c := range map[string]struct{ text, want string }{
		"a key": {private, ""}, "the public half": {public, "no PEM"}, "nothing": {"", "no PEM"}, "a protected one": {protected, "passphrase"},
	} {
		err := tunnel.CheckKey([]byte(c.text))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := tunnel.Open(tunnel.Options{Key: private, HostKey: "no key"}); messages.CodeOf(err) != messages.CodeStateInvalid {
		t.Errorf("an unreadable host key: %v", err)
	}
}
