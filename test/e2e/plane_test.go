package e2e_test

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

	"github.com/nats-io/nats-server/v2/server"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

// controlPlane makes one with microbosh init and runs a real nats-server with
// the configuration that it wrote.
func controlPlane(t *testing.T) (o lab.Options, nats *server.Server, run func(want int, args ...string) string) {
	t.Helper()
	dir := t.TempDir()
	outside := lab.Alone(t, lab.Options{})
	run = func(want int, args ...string) string {
		t.Helper()
		out, code := outside.CLI(args...)
		if code != want {
			t.Fatalf("microbosh %s ended with %d:\n%s", strings.Join(args, " "), code, out)
		}
		return out
	}
	busPort, registry := freePort(t), "127.0.0.1:"+freePort(t)
	o = lab.Options{Plane: filepath.Join(dir, "plane"), BusURL: "tls://127.0.0.1:" + busPort, Registry: registry}
	init := []string{"init", o.Plane, "--bus-host", "127.0.0.1", "--bus-port", busPort, "--registry", "http://" + registry, "--store", filepath.Join(dir, "store")}
	run(0, init...)
	before := contents(t, o.Plane)
	if out := run(0, init...); !strings.Contains(out, "Nothing is missing") || !same(before, contents(t, o.Plane)) {
		t.Errorf("a second init changes something:\n%s", out)
	}
	nats = startNATS(t, o.Plane)
	run(0, "provision", "--bus", o.BusURL, "--keys", filepath.Join(o.Plane, "admin"))
	return o, nats, run
}

// startNATS runs what the plane's configuration says.
func startNATS(t *testing.T, plane string) *server.Server {
	t.Helper()
	config, err := server.ProcessConfigFile(filepath.Join(plane, "bus", "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	config.NoSigs = true
	nats, err := server.NewServer(config)
	if err != nil {
		t.Fatal(err)
	}
	go nats.Start()
	t.Cleanup(nats.Shutdown)
	if !nats.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not start")
	}
	return nats
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		open := strings.HasSuffix(path, ".xpub") || filepath.Base(path) == "registry.json" || filepath.Base(path) == "plane.json" || path == dir
		if !open && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may look into %s: %v", path, info.Mode())
		}
		if d.IsDir() {
			return nil
		}
		b, err := os.ReadFile(path)
		out[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func same(a, b map[string]string) bool {
	for path := range b {
		if a[path] != b[path] {
			return false
		}
	}
	return len(a) == len(b)
}

// A whole life over a bus with TLS, each program with its own folder of keys;
// every key is replaced while a run is open.
func TestControlPlane(t *testing.T) {
	t.Parallel()
	o, nats, run := controlPlane(t)
	o.Mbus = "tls://"
	l := lab.New(t, o)
	l.BuildStemcell()
	conn := l.Connect(messages.RoleOps)
	l.Faults(slowBoot())
	end := start(t, l)
	posting(t, l, conn)
	for _, what := range []string{"orchestrator", "cpi", "registry", "cli", "ops", "tls"} {
		run(0, "rotate", what, "--dir", o.Plane)
	}
	if err := nats.Reload(); err != nil {
		t.Fatalf("the bus does not take the new configuration: %v", err)
	}
	for range 2 { // the next authorities are trusted, then sign
		run(0, "rotate", "ca", "--dir", o.Plane)
		if err := nats.Reload(); err != nil {
			t.Fatalf("the bus does not take the other authorities: %v", err)
		}
	}
	if out := run(1, "rotate", "ca", "--dir", o.Plane); !strings.Contains(out, "still trusted") {
		t.Errorf("a third step:\n%s", out)
	}
	says := func(out string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("it does not say %q:\n%s", want, out)
			}
		}
	}
	says(run(0, "rotate", "old", "--dir", o.Plane), "orchestrator.1.xk: bosh.v1.cmd.micro is sealed with it\n", "agents-ca: the agent ", "cli.1.xk: bosh.v1.cmd.micro holds a fingerprint")
	if out, code := end(); code != 0 {
		t.Fatalf("a deploy with every key rotated ended with %d:\n%s", code, out)
	}
	whole(t, l)
	toldNATS(t, l)
	// With the new keys: another command, and programs that start again.
	l.Orchestrators[0].Kill()
	l.Orchestrators[0].Restart()
	l.CPIs[0].Kill()
	l.CPIs[0].Restart()
	l.Registry.Kill()
	l.Registry.Restart()
	if out, code := l.CLI("deploy", l.Stemcell, "-n", "--update"); code != 0 || !strings.Contains(out, "no changes") {
		t.Errorf("the same manifest after the rotation ended with %d:\n%s", code, out)
	}
	l.WriteManifest(2048, "changed")
	deploy(t, l, "--update")
	whole(t, l)
	says(run(0, "rotate", "old", "--dir", o.Plane), "Removed the curve key "+filepath.Join(o.Plane, "orchestrator", "orchestrator.1.xk"), "Removed the authority agents-ca", "cli.1.xk: the fingerprint of the deployment micro")

	// What signs agents' logins: a server that has not started since expects the
	// one of before, and the registry knows.
	run(0, "rotate", "issuer", "--dir", o.Plane)
	deploy(t, l, "--update", "--recreate")
	nats.Shutdown()
	nats.WaitForShutdown()
	startNATS(t, o.Plane)
	deploy(t, l, "--update", "--recreate")
	whole(t, l)
	remove(t, l)
	if out := run(0, "rotate", "old", "--dir", o.Plane); strings.Contains(out, "Kept") || !strings.Contains(out, "cli.1.xk") {
		t.Errorf("with nothing left on the bus:\n%s", out)
	}
	says(run(0, "rotate", "old", "--dir", o.Plane), "Nothing is old")
	if out := run(0, "rotate", "--dir", o.Plane); !strings.Contains(out, "Nothing ends soon") {
		t.Errorf("a fresh plane warns:\n%s", out)
	}
}

// toldNATS looks whether agents are told a URL that BOSH's own agents know, too,
// although the manifest says tls://.
func toldNATS(t *testing.T, l *lab.Lab) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(filepath.Join(l.State(), "devcloud"), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // of a process that has ended
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "settings.json") {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "tls://") {
			t.Errorf("%s says tls://", path)
		}
		if strings.Contains(string(text), "nats://") {
			seen++
		}
		return err
	})
	if err != nil || seen == 0 {
		t.Errorf("%d agents were told where the bus is: %v", seen, err)
	}
}

// What is no identity of this plane is refused, by name and with what to do.
func TestForeignIdentities(t *testing.T) {
	t.Parallel()
	o, nats, run := controlPlane(t)
	other := filepath.Join(t.TempDir(), "other")
	run(0, "init", other, "--bus-host", "127.0.0.1", "--registry", "http://127.0.0.1:1")
	refused := func(what, keys, role string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		conn, err := bus.Connect(ctx, bus.Options{URL: o.BusURL, SeedFile: filepath.Join(keys, role+".nk"), Wait: time.Second})
		if err == nil {
			conn.Close()
		}
		if code := messages.CodeOf(err); code != messages.CodeBusDenied || messages.AsError(err).Hint == "" || !strings.Contains(err.Error(), keys) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("another plane's keys", filepath.Join(other, "cli"), "cli")
	mixed := filepath.Join(t.TempDir(), "mixed")
	if err := os.CopyFS(mixed, os.DirFS(filepath.Join(o.Plane, "cli"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(mixed, "cli.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	seed, err := os.ReadFile(filepath.Join(other, "cli", "cli.nk"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(mixed, "cli.nk"), seed, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("a foreign nkey with a certificate of the plane", mixed, "cli")
	if out := run(1, "init", o.Plane, "--bus-host", "elsewhere", "--registry", "http://127.0.0.1:1"); !strings.Contains(out, "another control plane") {
		t.Errorf("an init for something else:\n%s", out)
	}
	if err := os.Chmod(filepath.Join(o.Plane, "cli", "cli.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused("a key that others can read", filepath.Join(o.Plane, "cli"), "cli")

	// Permissions changed by hand are written again.
	config := filepath.Join(o.Plane, "bus", "nats.conf")
	before, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte(strings.Replace(string(before), `"hm.>"`, `">"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	run(0, "rotate", "tls", "--dir", o.Plane)
	if after, err := os.ReadFile(config); err != nil || string(after) != string(before) {
		t.Errorf("the permissions stay changed: %v", err)
	}
	if err := nats.Reload(); err != nil {
		t.Error(err)
	}
	run(2, "rotate", "nobody", "--dir", o.Plane)
	run(1, "rotate", "tls", "--dir", t.TempDir())
}
