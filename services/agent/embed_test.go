package main_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/messages"
)

// What an agent may do on the embedded bus is enough, and its password is told
// nowhere.
func TestOnTheEmbeddedBus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, err := embed.Start(t.Context(), embed.Options{Dir: dir, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	const password = "marker-password"
	letIn(t, dir, server.URL(), password)
	conn, err := bus.Connect(t.Context(), bus.Options{
		URL: server.URL(), SeedFile: filepath.Join(dir, "keys", string(messages.RoleOrchestrator)+".nk"),
		InboxPrefix: messages.InboxPrefix(messages.RoleOrchestrator),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	v := newVMOn(t, conn, strings.Replace(server.URL(), "://", "://"+agentID+":"+password+"@", 1))
	v.start()
	v.beat("")
	v.want(v.call("ping"), `"pong"`)
	v.want(v.run("apply", "", v.spec(nil)), `"applied"`)
	v.want(v.call("start"), `"started"`)
	v.beat("running")
	v.want(v.run("stop", ""), `"stopped"`)
	v.noSecrets(password)
}

// letIn answers for the registry: it lets the VM's agent in.
func letIn(t *testing.T, dir, url, password string) {
	t.Helper()
	keys := filepath.Join(dir, "keys")
	conn, err := bus.Connect(t.Context(), bus.Options{
		URL: url, SeedFile: filepath.Join(keys, messages.RoleRegistry+".nk"), InboxPrefix: messages.InboxPrefix(messages.RoleRegistry),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	done, ready := make(chan error, 1), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		done <- conn.ServeLogins(ctx, bus.Logins{
			IssuerFile: embed.IssuerFile(keys),
			Check: func(_ context.Context, l bus.Login) (messages.Permission, error) {
				if l.Password != password {
					return messages.Permission{}, errors.New("wrong password")
				}
				return messages.AgentPermission(l.User), nil
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
