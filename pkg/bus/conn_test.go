package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
)

func TestConnectNobody(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	_, err = bus.Connect(within(t), bus.Options{URL: "nats://u:marker-secret@" + addr, Wait: 100 * time.Millisecond})
	var e *messages.Error
	if !errors.As(err, &e) || e.Code != messages.CodeBusUnreachable || e.Hint == "" {
		t.Fatalf("got %v", err)
	}
	if want := fmt.Sprintf("no bus answers at nats://%s (as user u)", addr); len(e.Message) < len(want) || e.Message[:len(want)] != want {
		t.Errorf("the message is %q", e.Message)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bus.Connect(ended, bus.Options{URL: "nats://" + addr}); err == nil {
		t.Error("an ended context connects")
	}
}

// TestConnectLater waits for a bus that is still starting.
func TestConnectLater(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	p := bustest.NewProxy(t, b.URL())
	p.Down()
	got := make(chan error, 1)
	go func() {
		c, err := bus.Connect(context.Background(), bus.Options{URL: p.URL(), Wait: patience})
		if err == nil {
			c.Close()
		}
		got <- err
	}()
	p.Up()
	if err := get(t, within(t), got); err != nil {
		t.Fatal(err)
	}
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	p := bustest.NewProxy(t, b.URL())
	c, other := bustest.Connect(t, p.URL(), "t"), b.Connect(t, "other")
	if c.URL() != p.URL() {
		t.Errorf("URL is %s, want %s", c.URL(), p.URL())
	}
	got := make(chan bus.Msg, 100)
	stop, err := c.Subscribe(ctx, "hm.>", func(m bus.Msg) { got <- m })
	if err != nil {
		t.Fatal(err)
	}
	publish := func(text string) {
		t.Helper()
		if err := other.Publish("hm.agent.heartbeat.a", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := other.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	// The subscription is confirmed: the very next message arrives.
	for i := range 10 {
		publish(fmt.Sprint(i))
	}
	for i := range 10 {
		if m := get(t, ctx, got); string(m.Data) != fmt.Sprint(i) || m.Subject != "hm.agent.heartbeat.a" {
			t.Fatalf("message %d is %q on %s", i, m.Data, m.Subject)
		}
	}
	// It comes back with the connection.
	p.Sever()
	if err := c.Flush(ctx); err != nil && messages.CodeOf(err) != messages.CodeBusUnreachable {
		t.Fatal(err)
	}
	for {
		publish("back")
		if len(got) > 0 || ctx.Err() != nil {
			break
		}
		if err := c.Flush(ctx); err != nil {
			continue
		}
	}
	get(t, ctx, got)
	stop()
	stop()
}

// TestServeDrains ends with a request under way: it is answered.
func TestServeDrains(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	server, client := b.Connect(t, "server"), b.Connect(t, "client")
	serveCtx, stop := context.WithCancel(ctx)
	began, ready, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	release := make(chan struct{})
	go func() {
		done <- server.Serve(serveCtx, bus.Service{
			Name: "registry", Version: "1.2.3", Ready: func() { close(ready) },
			Endpoints: map[string]func(context.Context, []byte) (any, error){
				"slow": func(ctx context.Context, _ []byte) (any, error) {
					close(began)
					<-release
					return "answer", ctx.Err()
				},
			},
		})
	}()
	get(t, ctx, ready)
	var out string
	answer := make(chan error, 1)
	go func() { answer <- client.Call(ctx, messages.ServiceSubject("registry", "slow"), nil, &out) }()
	get(t, ctx, began)
	stop()
	close(release)
	if err := get(t, ctx, answer); err != nil || out != "answer" {
		t.Errorf("the answer is %q %v", out, err)
	}
	if err := get(t, ctx, done); err != nil {
		t.Error(err)
	}
	if err := client.Call(ctx, messages.ServiceSubject("registry", "slow"), nil, nil); messages.CodeOf(err) != messages.CodeNoService {
		t.Errorf("an ended service: %v", err)
	}
}

// TestServeOutlivesRestart answers again after the bus came back, and is listed
// as a NATS micro service.
func TestServeOutlivesRestart(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	server, client := b.Connect(t, "server"), b.Connect(t, "client")
	serveCtx, stop := context.WithCancel(ctx)
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- server.Serve(serveCtx, bus.Service{
			Name: "registry", Version: "not a version", Description: "d", Ready: func() { close(ready) },
			Endpoints: map[string]func(context.Context, []byte) (any, error){
				"echo": func(_ context.Context, b []byte) (any, error) { return json.RawMessage(b), nil },
			},
		})
	}()
	get(t, ctx, ready)
	b.Restart()
	for {
		err := client.Call(ctx, messages.ServiceSubject("registry", "echo"), nil, nil)
		if err == nil {
			break
		}
		if messages.CodeOf(err) != messages.CodeNoService && messages.CodeOf(err) != messages.CodeBusUnreachable {
			t.Fatal(err)
		}
	}
	nc := rawConn(t, b.URL())
	m, err := nc.RequestWithContext(ctx, "$SRV.STATS.registry", nil)
	if err != nil {
		t.Fatal(err)
	}
	var stats struct {
		Name, Version string
		Endpoints     []struct {
			Name string
			Data bus.EndpointStats
		}
	}
	if err := json.Unmarshal(m.Data, &stats); err != nil {
		t.Fatal(err)
	}
	if stats.Name != "registry" || stats.Version != "0.0.0-dev" || len(stats.Endpoints) != 1 || stats.Endpoints[0].Data.Served < 1 {
		t.Errorf("the service tells %s", m.Data)
	}
	stop()
	if err := get(t, ctx, done); err != nil {
		t.Error(err)
	}
}

// TestCallOverCut loses the connection while a service works: it is asked
// again.
func TestCallOverCut(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	p := bustest.NewProxy(t, b.URL())
	server, client := b.Connect(t, "server"), bustest.Connect(t, p.URL(), "client")
	serveCtx, stop := context.WithCancel(ctx)
	ready, done := make(chan struct{}), make(chan error, 1)
	asked := make(chan struct{}, 10)
	go func() {
		done <- server.Serve(serveCtx, bus.Service{
			Name: "registry", Version: "1.0.0", Ready: func() { close(ready) },
			Endpoints: map[string]func(context.Context, []byte) (any, error){
				"x": func(context.Context, []byte) (any, error) {
					if asked <- struct{}{}; len(asked) == 1 {
						p.Sever()
					}
					return "answer", nil
				},
			},
		})
	}()
	get(t, ctx, ready)
	var out string
	if err := client.Call(ctx, messages.ServiceSubject("registry", "x"), nil, &out); err != nil || out != "answer" {
		t.Errorf("the answer is %q %v", out, err)
	}
	if len(asked) < 2 {
		t.Errorf("the service was asked %d times: the cut did not hit", len(asked))
	}
	stop()
	if err := get(t, ctx, done); err != nil {
		t.Error(err)
	}
}
