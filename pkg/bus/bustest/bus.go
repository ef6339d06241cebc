package bustest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/microbosh/microbosh/pkg/bus"
)

const startWait = 30 * time.Second

// Bus is a provisioned single node without identities.
type Bus struct {
	t    testing.TB
	node *node
}

// Start runs one.
func Start(t testing.TB) *Bus {
	t.Helper()
	b := &Bus{t: t, node: newNode(t, "n0")}
	b.node.start()
	provision(t, b.URL(), 1)
	return b
}

// URL is its address, the same after a restart.
func (b *Bus) URL() string { return b.node.url() }

// Stop ends it; what it stored stays.
func (b *Bus) Stop() { b.t.Helper(); b.node.stop() }

// Restart stops it if it runs, and starts it at the same address.
func (b *Bus) Restart() { b.t.Helper(); b.node.stop(); b.node.start() }

// Connect connects for the length of the test.
func (b *Bus) Connect(t testing.TB, name string) *bus.Conn {
	t.Helper()
	return Connect(t, b.URL(), name)
}

// Connect connects to any address for the length of the test.
func Connect(t testing.TB, url, name string) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(t.Context(), bus.Options{URL: url, Name: name, Wait: startWait})
	if err != nil {
		t.Fatalf("cannot connect to the test's bus: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

func provision(t testing.TB, url string, replicas int) {
	t.Helper()
	c := Connect(t, url, "provision")
	ctx, cancel := context.WithTimeout(t.Context(), startWait)
	defer cancel()
	if err := c.Provision(ctx, replicas); err != nil {
		t.Fatalf("cannot provision the test's bus: %v", err)
	}
}

// node is one server, its folder and its port.
type node struct {
	t    testing.TB
	opts server.Options
	srv  *server.Server
}

func newNode(t testing.TB, name string) *node {
	n := &node{t: t, opts: server.Options{
		ServerName: name, Host: "127.0.0.1", Port: server.RANDOM_PORT,
		JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, DisableJetStreamBanner: true,
	}}
	t.Cleanup(n.stop)
	return n
}

func (n *node) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.opts.Port) }

func (n *node) start() {
	n.t.Helper()
	n.launch()
	n.ready()
}

func (n *node) launch() {
	n.t.Helper()
	opts := n.opts
	srv, err := server.NewServer(&opts)
	if err != nil {
		n.t.Fatalf("cannot set up the test's bus: %v", err)
	}
	n.srv = srv
	go srv.Start()
}

func (n *node) ready() {
	n.t.Helper()
	if !n.srv.ReadyForConnections(startWait) {
		n.t.Fatal("the test's bus did not start")
	}
	n.opts.Port = port(n.srv.Addr())
}

func (n *node) stop() {
	if n.srv != nil {
		n.srv.Shutdown()
		n.srv.WaitForShutdown()
		n.srv = nil
	}
}
