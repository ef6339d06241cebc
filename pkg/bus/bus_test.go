package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
)

const patience = 20 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func get[T any](t *testing.T, ctx context.Context, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-ctx.Done():
		t.Fatal("nothing came in time")
		panic("unreachable")
	}
}

func TestAppendAndRead(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	c := bustest.Start(t).Connect(t, "t")
	filter := messages.JournalFilter("micro")
	if _, err := c.Last(ctx, messages.StreamJournal, filter); !errors.Is(err, bus.ErrNone) {
		t.Fatalf("Last of an empty journal: %v", err)
	}
	if got, err := c.Read(ctx, messages.StreamJournal, filter, 0); err != nil || got == nil || len(got) != 0 {
		t.Fatalf("Read of an empty journal: %v %v", got, err)
	}
	var last uint64
	for i := range 5 {
		seq, err := c.Append(ctx, bus.Append{
			Subject: messages.JournalSubject("micro", fmt.Sprintf("f%d", i)), Filter: filter, Last: last,
			ID: fmt.Sprintf("id%d", i), Data: []byte{byte('0' + i)},
		})
		if err != nil {
			t.Fatal(err)
		}
		last = seq
		// Another deployment in between does not count.
		if _, err := c.Send(ctx, messages.JournalSubject("other", "f"), fmt.Sprintf("o%d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Read(ctx, messages.StreamJournal, filter, 0)
	if err != nil || len(got) != 5 || string(got[4].Data) != "4" || got[4].ID != "id4" || got[4].Seq != last || got[0].Time.IsZero() {
		t.Fatalf("Read: %+v %v", got, err)
	}
	if got, err = c.Read(ctx, messages.StreamJournal, filter, got[3].Seq); err != nil || len(got) != 2 {
		t.Fatalf("Read from the fourth: %+v %v", got, err)
	}
	if got, err = c.Read(ctx, messages.StreamJournal, filter, last+1); err != nil || len(got) != 0 {
		t.Fatalf("Read from behind the end: %+v %v", got, err)
	}
}

func TestReadOfMany(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	c := bustest.Start(t).Connect(t, "t")
	var seqs []uint64
	for i := range 70 {
		name := []string{"micro", "micro", "other"}[i%3]
		seq, err := c.Send(ctx, messages.JournalSubject(name, "f"), "", fmt.Append(nil, i))
		if err != nil {
			t.Fatal(err)
		}
		if name == "micro" {
			seqs = append(seqs, seq)
		}
	}
	for _, from := range []int{0, 1, 20, len(seqs) - 1} {
		got, err := c.Read(ctx, messages.StreamJournal, messages.JournalFilter("micro"), seqs[from])
		if err != nil {
			t.Fatal(err)
		}
		var have []uint64
		for _, m := range got {
			have = append(have, m.Seq)
		}
		if !slices.Equal(have, seqs[from:]) {
			t.Errorf("Read from %d gives %v, want %v", seqs[from], have, seqs[from:])
		}
	}
}

func TestServeAndCall(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	server, client := b.Connect(t, "server"), b.Connect(t, "client")
	var e *messages.Error
	err := client.Call(ctx, messages.ServiceSubject("registry", "x"), nil, nil)
	if !errors.As(err, &e) || e.Code != messages.CodeNoService {
		t.Fatalf("nobody there: %v", err)
	}
	serveCtx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	release, ready := make(chan struct{}), make(chan struct{})
	go func() {
		done <- server.Serve(serveCtx, bus.Service{
			Name: "registry", Version: "dev", Description: "test", Parallel: 4, Ready: func() { close(ready) },
			Endpoints: map[string]func(context.Context, []byte) (any, error){
				"echo": func(_ context.Context, b []byte) (any, error) { return json.RawMessage(b), nil },
				"fail": func(context.Context, []byte) (any, error) {
					return nil, messages.Errorf(messages.CodeConflict, "lost\nit").WithHint("again")
				},
				"slow": func(ctx context.Context, _ []byte) (any, error) {
					select {
					case <-release:
					case <-ctx.Done():
					}
					return "slow", nil
				},
			},
		})
	}()
	in := map[string]string{"a": "b"}
	var out map[string]string
	get(t, ctx, ready)
	err = client.Call(ctx, messages.ServiceSubject("registry", "echo"), in, &out)
	if err != nil || out["a"] != "b" {
		t.Fatalf("echo: %v %v", out, err)
	}
	err = client.Call(ctx, messages.ServiceSubject("registry", "fail"), in, nil)
	if !errors.As(err, &e) || e.Code != messages.CodeConflict || e.Hint != "again" {
		t.Fatalf("fail: %#v", err)
	}
	// Three of four slots are slow: others get through.
	slow := make(chan error, 3)
	for range 3 {
		go func() {
			var s string
			slow <- client.Call(ctx, messages.ServiceSubject("registry", "slow"), nil, &s)
		}()
	}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if err := client.Call(ctx, messages.ServiceSubject("registry", "echo"), in, nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	close(release)
	for range 3 {
		if err := get(t, ctx, slow); err != nil {
			t.Error(err)
		}
	}
	stop()
	if err := get(t, ctx, done); err != nil {
		t.Fatal(err)
	}
}

func TestWork(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	b := bustest.Start(t)
	c := b.Connect(t, "t")
	consumer := messages.StepConsumer("openstack")
	workCtx, stop := context.WithCancel(ctx)
	var ran atomic.Int64
	got := make(chan string, 100)
	done := make(chan error, 1)
	go func() {
		done <- c.Work(workCtx, consumer, 3, func(ctx context.Context, j *bus.Job) error {
			ran.Add(1)
			defer func() { got <- string(j.Data) }()
			return j.Done(ctx)
		})
	}()
	for i := range 10 {
		if _, err := c.Send(ctx, messages.StepSubject("openstack", "create_vm", "micro"), "", []byte{byte('0' + i)}); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		get(t, ctx, got)
	}
	b.Restart()
	if _, err := c.Send(ctx, messages.StepSubject("openstack", "create_vm", "micro"), "", []byte("after")); err != nil {
		t.Fatal(err)
	}
	if s := get(t, ctx, got); s != "after" {
		t.Fatal(s)
	}
	stop()
	if err := get(t, ctx, done); err != nil || ran.Load() != 11 {
		t.Fatalf("%v, handlers ran %d times", err, ran.Load())
	}
}
