package bustest

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/microbosh/microbosh/pkg/bus"
)

// Trio is a provisioned cluster of three nodes; every stream has three
// replicas.
type Trio struct {
	t     testing.TB
	nodes []*node
}

// Cluster runs one.
func Cluster(t testing.TB) *Trio {
	t.Helper()
	c := &Trio{t: t}
	var routes []string
	for range 3 {
		routes = append(routes, fmt.Sprintf("nats-route://127.0.0.1:%d", freePort(t)))
	}
	for i := range 3 {
		n := newNode(t, fmt.Sprintf("n%d", i))
		n.opts.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: portOf(t, routes[i]), NoAdvertise: true}
		n.opts.Routes = server.RoutesFromStr(strings.Join(routes, ","))
		n.opts.NoSystemAccount = false
		c.nodes = append(c.nodes, n)
		n.launch()
	}
	for _, n := range c.nodes {
		n.ready()
	}
	provision(t, c.URL(), 3)
	return c
}

// URL names all nodes.
func (c *Trio) URL() string {
	var urls []string
	for _, n := range c.nodes {
		urls = append(urls, n.url())
	}
	return strings.Join(urls, ",")
}

// Node is the address of one.
func (c *Trio) Node(i int) string { return c.nodes[i].url() }

// Stop ends one node.
func (c *Trio) Stop(i int) { c.t.Helper(); c.nodes[i].stop() }

// Restart stops one node if it runs, starts it, and returns when it has caught
// up: whoever takes the next node away before that takes the quorum.
func (c *Trio) Restart(i int) {
	c.t.Helper()
	n := c.nodes[i]
	n.stop()
	n.start()
	deadline := time.NewTimer(startWait)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		health := n.srv.Healthz(&server.HealthzOptions{})
		if health.Status == "ok" {
			return
		}
		select {
		case <-look.C:
		case <-deadline.C:
			c.t.Fatalf("node %d does not catch up: %+v", i, health)
		}
	}
}

// Connect connects to any node for the length of the test.
func (c *Trio) Connect(t testing.TB, name string) *bus.Conn {
	t.Helper()
	return Connect(t, c.URL(), name)
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("cannot find a free port: %v", err)
	}
	defer l.Close()
	return port(l.Addr())
}

func port(a net.Addr) int {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.Port
	}
	return 0
}

func portOf(t testing.TB, url string) int {
	t.Helper()
	var p int
	if _, err := fmt.Sscanf(url, "nats-route://127.0.0.1:%d", &p); err != nil {
		t.Fatalf("cannot read %s: %v", url, err)
	}
	return p
}
