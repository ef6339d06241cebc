package cpi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/pkg/seal"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

const (
	cloudName = "toy"
	patience  = 20 * time.Second
	shortly   = 3 * time.Second // a deadline that passes while the step is at work, on a busy machine, too
)

// toy is a cloud of one kind of thing.
type toy struct {
	mu     sync.Mutex
	things map[string]string // guarded by mu; cid to step id
	order  []string          // guarded by mu
	posts  int               // guarded by mu
	lists  int               // guarded by mu

	// post decides what the n-th request does; nil: it works. It is called
	// before any effect and may call effect itself.
	post   func(ctx context.Context, n int, effect func() string) (string, error)
	finish func(ctx context.Context, s *cpi.Step, cid string) error

	// look is what the n-th listing shows of all there is; nil: all.
	look   func(n int, all []cpi.Found) ([]cpi.Found, error)
	fenced bool
}

func (c *toy) effect(step string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	cid := fmt.Sprintf("thing-%d", len(c.order)+1)
	c.things[cid], c.order = step, append(c.order, cid)
	return cid
}

func (c *toy) list(step string) []cpi.Found {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []cpi.Found
	for i, cid := range c.order {
		if c.things[cid] == step {
			out = append(out, cpi.Found{CID: cid, Created: time.Unix(int64(i), 0)})
		}
	}
	return out
}

func (c *toy) find(step string) ([]cpi.Found, error) {
	list := c.list(step)
	c.mu.Lock()
	c.lists++
	n := c.lists
	c.mu.Unlock()
	if c.look == nil {
		return list, nil
	}
	return c.look(n, list)
}

func (c *toy) counts() (things, posts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.things), c.posts
}

func (c *toy) create(ctx context.Context, s *cpi.Step) (any, error) {
	remove := func(_ context.Context, cid string) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if step, ok := c.things[cid]; ok && step != s.ID() {
			return fmt.Errorf("%s is foreign", cid)
		}
		delete(c.things, cid)
		return nil
	}
	cid, err := s.Create(ctx, cpi.Maker{
		Find: func(context.Context) ([]cpi.Found, error) { return c.find(s.ID()) },
		Post: func(ctx context.Context) (string, error) {
			c.mu.Lock()
			c.posts++
			n := c.posts
			c.mu.Unlock()
			if c.post == nil {
				return c.effect(s.ID()), nil
			}
			return c.post(ctx, n, func() string { return c.effect(s.ID()) })
		},
		Remove: remove,
		Fenced: c.fenced,
	})
	if err != nil {
		return nil, err
	}
	if c.finish != nil {
		if err := c.finish(ctx, s, cid); err != nil {
			return nil, err
		}
	}
	return messages.CreateDiskOutputs{CID: cid, SizeMiB: 1024}, nil
}

// world is a bus, a cloud and the key of its CPIs.
type world struct {
	t     *testing.T
	bus   *bustest.Bus
	conn  *bus.Conn
	ring  *seal.Ring
	toy   *toy
	uid   string
	log   *logs
	grace time.Duration // of CPIs that start from now on
}

// logs is what the CPIs said.
type logs struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ring, err := seal.Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	b := bustest.Start(t)
	return &world{t: t, bus: b, conn: b.Connect(t, "test"), ring: ring, toy: &toy{things: map[string]string{}}, uid: "k3v9q2m1xa", log: &logs{}, grace: 2 * time.Second}
}

// start runs a CPI and gives what ends it; it returns once the CPI has ended.
func (w *world) start(settle time.Duration, more map[string]cpi.Method) (stop func()) {
	w.t.Helper()
	return w.startAt(w.bus.URL(), settle, more)
}

// startAt runs a CPI on the bus behind url.
func (w *world) startAt(url string, settle time.Duration, more map[string]cpi.Method) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	methods := map[string]cpi.Method{messages.MethodCreateDisk: {Creates: true, Run: w.toy.create}}
	for name, m := range more {
		methods[name] = m
	}
	done, ready := make(chan error, 1), make(chan struct{})
	conn := bustest.Connect(w.t, url, "cpi")
	go func() {
		done <- cpi.Run(ctx, cpi.Options{
			Conn: conn, Ring: w.ring, Cloud: cloudName, Slots: 2, Settle: settle, Grace: w.grace,
			Log: zerolog.New(zerolog.MultiLevelWriter(zerolog.NewTestWriter(w.t), w.log)), Methods: methods, Ready: func() { close(ready) },
		})
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Errorf("the CPI ended with %v", err)
			}
		})
	}
	w.t.Cleanup(stop)
	select {
	case <-ready:
	case <-time.After(patience):
		w.t.Fatal("the CPI is not ready")
	}
	return stop
}

func (w *world) step(method string) string { return messages.StepID(w.uid, method, 1) }

// send asks for a step.
func (w *world) send(method string, deadline time.Time, settle bool) {
	w.t.Helper()
	w.sendNth(method, 1, deadline, settle)
}

// sendNth asks for the n-th use of a step.
func (w *world) sendNth(method string, n int, deadline time.Time, settle bool) {
	w.t.Helper()
	sealed, err := w.ring.Seal(w.ring.Public(), messages.StepSecrets{Mbus: "nats://secret"})
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := messages.Envelope{
		ID: uuid.NewString(), Type: messages.Type(messages.ClassStep, method), Source: "test", Time: time.Now(),
		Deployment: "micro", DeploymentUID: w.uid, Run: "r1", Step: messages.StepID(w.uid, method, n),
	}.Encode(messages.StepCommand{Method: method, Args: json.RawMessage(`{}`), Secrets: sealed, Deadline: deadline, Settle: settle})
	if err != nil {
		w.t.Fatal(err)
	}
	w.sendRaw(method, data)
}

func (w *world) sendRaw(method string, data []byte) {
	w.t.Helper()
	if _, err := w.conn.Send(w.t.Context(), messages.StepSubject(cloudName, method, "micro"), "", data); err != nil {
		w.t.Fatal(err)
	}
}

// result waits for a result that ok accepts.
func (w *world) result(method string, ok func(messages.Result) bool) messages.Result {
	w.t.Helper()
	_, r := w.resultNth(method, 1, ok)
	return r
}

// resultNth waits for a result of the n-th use of a step.
func (w *world) resultNth(method string, n int, ok func(messages.Result) bool) (bus.Msg, messages.Result) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	subject := messages.ResultSubject(cloudName, method, "micro", messages.StepID(w.uid, method, n))
	feed, err := w.conn.Follow(ctx, messages.StreamResult, []string{subject}, bus.Start{LastPerSubject: true})
	if err != nil {
		w.t.Fatal(err)
	}
	defer feed.Stop()
	for {
		m, err := feed.Next(ctx)
		if err != nil {
			w.t.Fatalf("no such result of %s: %v", method, err)
		}
		var r messages.Result
		if _, err := messages.Decode(m.Data, &r); err != nil {
			w.t.Fatal(err)
		}
		if ok(r) {
			return m, r
		}
	}
}

func final(r messages.Result) bool { return r.Status.Final() }

// idle waits until the queue holds no command.
func (w *world) idle(method string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	err := cpi.Await(ctx, 50*time.Millisecond, func(ctx context.Context) (bool, error) {
		left, err := w.conn.Read(ctx, messages.StreamStep, messages.StepSubject(cloudName, method, "micro"), 0)
		return len(left) == 0, err
	})
	if err != nil {
		w.t.Fatalf("commands are left in the queue: %v", err)
	}
}

// until waits for what no message tells.
func (w *world) until(what string, so func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if cpi.Await(ctx, 10*time.Millisecond, func(context.Context) (bool, error) { return so(), nil }) != nil {
		w.t.Fatalf("it is not so that %s", what)
	}
}

func soon() time.Time { return time.Now().Add(patience) }
