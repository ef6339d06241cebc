package embed_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/messages"
)

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, dir string) *embed.Server {
	t.Helper()
	s, err := embed.Start(within(t), embed.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func connect(t *testing.T, dir, url, role string) *bus.Conn {
	t.Helper()
	o := bus.Options{URL: url, Name: role, InboxPrefix: messages.InboxPrefix(role)}
	switch role {
	case messages.RoleAgent, messages.RoleDirector, messages.RoleHealthMonitor:
		serveLogins(t, dir, url)
		o.User, o.Password = role, "marker-secret"
	default:
		o.SeedFile = embed.KeyFile(dir, role)
	}
	c, err := bus.Connect(within(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serveLogins lets the agent a1 in for the length of the test, from when it
// returns.
func serveLogins(t *testing.T, dir, url string) {
	t.Helper()
	c := connect(t, dir, url, messages.RoleRegistry)
	ctx, cancel := context.WithCancel(t.Context())
	done, ready := make(chan error, 1), make(chan struct{})
	go func() {
		done <- c.ServeLogins(ctx, bus.Logins{
			IssuerFile: embed.IssuerFile(filepath.Join(dir, "keys")),
			Check: func(_ context.Context, l bus.Login) (messages.Permission, error) {
				for _, p := range messages.BOSHPermissions() {
					if l.User == p.Role && l.Password == "marker-secret" {
						return p, nil
					}
				}
				if l.User != messages.RoleAgent || l.Password != "marker-secret" {
					return messages.Permission{}, errors.New("no such agent")
				}
				return messages.AgentPermission("a1"), nil
			},
		}, func() { close(ready) })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		done <- err
		t.Fatalf("logins are not served: %v", err)
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	dir := filepath.Join(t.TempDir(), "bus")
	if _, err := embed.ReadAddress(dir); messages.CodeOf(err) != messages.CodeBusUnreachable {
		t.Fatalf("an address of nothing: %v", err)
	}
	s := start(t, dir)
	if url, err := embed.ReadAddress(dir); err != nil || url != s.URL() {
		t.Fatalf("ReadAddress: %q %v, want %q", url, err, s.URL())
	}
	_, err := embed.Start(ctx, embed.Options{Dir: dir})
	var e *messages.Error
	if !errors.As(err, &e) || e.Code != messages.CodeStateLocked || e.Details["url"] != s.URL() {
		t.Fatalf("a second bus in the folder: %v", err)
	}
	c := connect(t, dir, s.URL(), messages.RoleOrchestrator)
	if _, err := c.Send(ctx, messages.JournalSubject("micro", "f"), "id", []byte("x")); err != nil {
		t.Fatal(err)
	}
	admin := connect(t, dir, s.URL(), messages.RoleAdmin)
	if d, err := admin.Drift(ctx); err != nil || len(d) != 0 {
		t.Fatalf("Drift: %q %v", d, err)
	}
	url := s.URL()
	s.Close()
	if _, err := embed.ReadAddress(dir); messages.CodeOf(err) != messages.CodeBusUnreachable {
		t.Fatalf("an address after Close: %v", err)
	}
	if s = start(t, dir); s.URL() != url {
		t.Fatalf("the second start is at %s, the first was at %s", s.URL(), url)
	}
	// The old connection comes back by itself, with the same key.
	m, err := c.Last(ctx, messages.StreamJournal, messages.JournalFilter("micro"))
	if err != nil || string(m.Data) != "x" {
		t.Fatalf("after a restart: %+v %v", m, err)
	}
	modes(t, dir)
}

// modes checks that nobody else can read what the folder holds.
func modes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "keys"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		public := strings.HasSuffix(path, ".xpub")
		if err == nil && !public && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v %v", info.Mode(), err)
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	_, err = embed.Start(within(t), embed.Options{Dir: dir, Port: l.Addr().(*net.TCPAddr).Port})
	if messages.CodeOf(err) != messages.CodeBusUnreachable || messages.AsError(err).Hint == "" {
		t.Fatalf("a taken port: %v", err)
	}
	// The folder is free again.
	start(t, dir)
}

func TestStaleAddress(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		text string
		code messages.Code
	}{
		"dead process": {`{"url":"nats://127.0.0.1:1","pid":2147483646}`, messages.CodeBusUnreachable},
		"no address":   {`{}`, messages.CodeStateInvalid},
		"garbage":      {`nats`, messages.CodeStateInvalid},
	} {
		if err := os.WriteFile(filepath.Join(dir, "bus.json"), []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := embed.ReadAddress(dir); messages.CodeOf(err) != tc.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStrangers(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	dir, other := t.TempDir(), t.TempDir()
	s := start(t, dir)
	start(t, other)
	for name, o := range map[string]bus.Options{
		"nobody":                {},
		"wrong password":        {User: "agent", Password: "marker-secret"},
		"another's key":         {SeedFile: embed.KeyFile(other, messages.RoleCLI)},
		"missing key":           {SeedFile: filepath.Join(dir, "none.nk")},
		"another's kind of key": {SeedFile: embed.IssuerFile(filepath.Join(dir, "keys"))},
		"in the address":        {URL: strings.Replace(s.URL(), "nats://", "nats://agent:marker-secret@", 1)},
	} {
		if o.URL == "" {
			o.URL = s.URL()
		}
		_, err := bus.Connect(ctx, o)
		if messages.CodeOf(err) != messages.CodeBusDenied || messages.AsError(err).Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "marker-secret") {
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
}
