package main_test

import (
	"os"
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
	secret, err := os.ReadFile(embed.AgentPasswordFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	password := strings.TrimSpace(string(secret))
	conn, err := bus.Connect(t.Context(), bus.Options{
		URL: server.URL(), SeedFile: filepath.Join(dir, "keys", string(messages.RoleOrchestrator)+".nk"),
		InboxPrefix: messages.InboxPrefix(messages.RoleOrchestrator),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	v := newVMOn(t, conn, strings.Replace(server.URL(), "://", "://agent:"+password+"@", 1))
	v.start()
	v.beat("")
	v.want(v.call("ping"), `"pong"`)
	v.want(v.run("apply", "", v.spec(nil)), `"applied"`)
	v.want(v.call("start"), `"started"`)
	v.beat("running")
	v.want(v.run("stop", ""), `"stopped"`)
	v.noSecrets(password)
}
