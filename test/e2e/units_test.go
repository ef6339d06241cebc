package e2e_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

// host is a machine with the units installed: where their paths lead, and what
// its microbosh.env says.
type host struct {
	paths *strings.Replacer
	env   map[string]string
}

var variable = regexp.MustCompile(`\$\{([A-Z_]+)\}`)

// command is what systemd would execute for a unit, on this host.
func (h host) command(t *testing.T, unit string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../deploy/systemd", unit+".service"))
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(text), "\nExecStart=")
	line, _, _ = strings.Cut(line, "\n")
	words := strings.Fields(line)
	if len(words) == 0 {
		t.Fatalf("%s starts nothing", unit)
	}
	for i, word := range words {
		words[i] = h.paths.Replace(variable.ReplaceAllStringFunc(word, func(v string) string {
			value, ok := h.env[strings.Trim(v, "${}")]
			if !ok {
				t.Errorf("%s needs %s, which microbosh.env does not have", unit, v)
			}
			return value
		}))
	}
	return words
}

// environment is microbosh.env with this test's addresses in it.
func environment(t *testing.T, values map[string]string) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/systemd/microbosh.env")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		name, _, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if out[name], ok = values[name]; !ok {
			t.Errorf("the test knows no %s", name)
		}
	}
	return out
}

// A control plane of three nodes as docs/howto-install.md makes it: init's files,
// a real nats-server on each host, every service by the command of its unit; then
// a whole life over it, with one node gone in the middle.
func TestUnits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	natsServer := filepath.Join(dir, "nats-server")
	if out, err := exec.Command("go", "build", "-o", natsServer, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("cannot build nats-server: %v\n%s", err, out)
	}
	plane, store, busPort := filepath.Join(dir, "plane"), filepath.Join(dir, "store"), freePort(t)
	registry := "127.0.0.1:" + freePort(t)
	var nodes, urls []string
	for i := range 3 {
		nodes = append(nodes, fmt.Sprintf("127.%d.%d.%d", 3+os.Getpid()/250%28, 1+os.Getpid()%250, i+1))
		urls = append(urls, "tls://"+net.JoinHostPort(nodes[i], busPort))
	}
	o := lab.Options{Plane: plane, BusURL: strings.Join(urls, ","), Registry: registry, NoServices: true}
	l := lab.New(t, o)
	run := func(args ...string) {
		t.Helper()
		if out, code := l.CLI(args...); code != 0 {
			t.Fatalf("microbosh %s ended with %d:\n%s", strings.Join(args, " "), code, out)
		}
	}
	run("init", plane, "--bus-host", strings.Join(nodes, ","), "--bus-port", busPort, "--registry", "http://"+registry, "--store", store)
	env := environment(t, map[string]string{"MICROBOSH_BUS": o.BusURL, "MICROBOSH_REGISTRY": "http://" + registry, "MICROBOSH_REGISTRY_LISTEN": registry})
	on := func(node int) host {
		return host{strings.NewReplacer(
			"/usr/bin/nats-server", natsServer, "/usr/bin", lab.Programs(t), "/etc/microbosh/bus", filepath.Join(dir, fmt.Sprint("host-", node), "bus"), "/etc/microbosh", plane,
		), env}
	}
	var servers []*exec.Cmd
	for i := range nodes {
		servers = append(servers, install(t, on(i+1), plane, store, i+1))
	}
	run("provision", "--bus", o.BusURL, "--keys", filepath.Join(plane, "admin"), "--replicas", "3", "--wait", "1m")
	for _, unit := range []string{"microbosh-registry", "microbosh-orchestrator", "microbosh-cpi-openstack"} {
		words := on(1).command(t, unit)
		lab.Start(t, filepath.Join(l.State(), unit), "debug", words[0], words[1:]...)
	}
	l.BuildStemcell()
	deploy(t, l)
	whole(t, l)
	kill(t, servers[0])
	l.WriteManifest(2048, "changed")
	deploy(t, l, "--update")
	whole(t, l)
	if msgs, err := l.Connect(messages.RoleOps).Read(t.Context(), messages.StreamJournal, "bosh.v1.journal.>", 0); err != nil || len(msgs) == 0 {
		t.Errorf("with a node gone the journal has %d facts: %v", len(msgs), err)
	}
	remove(t, l)
}

// install puts a node's folder where its unit looks for it, as on a machine of its
// own, and starts its nats-server.
func install(t *testing.T, h host, plane, store string, node int) *exec.Cmd {
	t.Helper()
	words := h.command(t, "microbosh-bus")
	config := words[len(words)-1]
	folder := filepath.Dir(config)
	from := filepath.Join(plane, fmt.Sprint("bus-", node))
	if err := os.CopyFS(folder, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	own := strings.NewReplacer(from, folder, store, fmt.Sprint(store, "-", node)).Replace(string(text)) // this machine has one file system for all
	if err := os.WriteFile(config, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kill(t, cmd)
		if t.Failed() {
			t.Logf("== nats-server %d\n%s", node, log.String())
		}
	})
	return cmd
}

// kill ends a server without warning and waits for its end.
func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if cmd.ProcessState != nil {
		return
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it was killed
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Errorf("%v does not end", cmd.Args)
	}
}
