package embed_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/microbosh/microbosh/pkg/bus/embed"
	"github.com/microbosh/microbosh/pkg/cert"
	"github.com/microbosh/microbosh/pkg/messages"
)

// example is a key that everybody can make: for pages, not for a bus.
func example(t *testing.T, prefix nkeys.PrefixByte, name string) string {
	t.Helper()
	raw := sha256.Sum256([]byte("example of " + name))
	pair, err := nkeys.FromRawSeed(prefix, raw[:])
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// TestConfigs keeps deploy/nats, what microbosh init writes for one node and for
// three, and has nats-server read each as `nats-server -t` does.
func TestConfigs(t *testing.T) {
	t.Parallel()
	base := embed.Config{
		Port: 4222, Store: "/var/lib/microbosh/bus", Folder: "/etc/microbosh/bus",
		Keys: map[messages.Role][]string{}, Warden: []string{example(t, nkeys.PrefixByteUser, "registry.sys")}, Issuer: example(t, nkeys.PrefixByteAccount, "issuer"),
	}
	for _, p := range messages.Permissions() {
		if p.Role != messages.RoleAgent {
			base.Keys[p.Role] = []string{example(t, nkeys.PrefixByteUser, p.Role)}
		}
	}
	configs := map[string]embed.Config{}
	one := base
	one.Name = "microbosh-1"
	configs["one.conf"] = one
	for i := range 3 {
		c := base
		c.Name, c.Cluster, c.Route = fmt.Sprint("microbosh-", i+1), "microbosh", 6222
		c.Routes = []string{"bus-1.example:6222", "bus-2.example:6222", "bus-3.example:6222"}
		configs[fmt.Sprintf("three-%d.conf", i+1)] = c
	}
	folder, now := t.TempDir(), time.Now()
	ca, err := cert.EnsureAuthority(folder, "ca", now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Server([]string{"bus-1.example"}, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := cert.Write(folder, "server", pair); err != nil {
		t.Fatal(err)
	}
	for name, c := range configs {
		text, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("../../../deploy/nats", name)
		if *update {
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(path)
		if err != nil || string(have) != string(text) {
			t.Errorf("deploy/nats/%s is not what init writes (%v): run `make generate`", name, err)
		}
		local := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(local, []byte(strings.ReplaceAll(string(text), c.Folder, folder)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := embed.CheckConfig(local); err != nil {
			t.Error(err)
		}
	}
	broken := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(broken, []byte("tls: {"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := embed.CheckConfig(broken); messages.CodeOf(err) != messages.CodeStateInvalid || messages.AsError(err).Hint == "" {
		t.Errorf("a configuration changed by hand: %v", err)
	}
}
