package cpi_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

// Everything that a command leaves behind tells whose it is, and no secret.
func TestWhatPeopleSee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	var said strings.Builder
	stop, err := w.conn.Subscribe(t.Context(), messages.Root+".>", func(m bus.Msg) {
		mu.Lock()
		defer mu.Unlock()
		said.WriteString(m.Subject + " " + string(m.Data) + "\n")
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	w.toy.finish = func(_ context.Context, s *cpi.Step, cid string) error {
		if s.Secrets().Mbus != "nats://secret" {
			t.Errorf("secrets are %+v", s.Secrets())
		}
		s.Progress("polishing "+cid, 1, 2)
		return nil
	}
	w.start(time.Second, nil)
	w.send(messages.MethodCreateDisk, soon(), false)
	m, r := w.resultNth(messages.MethodCreateDisk, 1, final)
	w.idle(messages.MethodCreateDisk)

	envelope, err := messages.Decode(m.Data, nil)
	if err != nil {
		t.Fatal(err)
	}
	if envelope.Deployment != "micro" || envelope.DeploymentUID != w.uid || envelope.Run != "r1" || envelope.CausationID == "" ||
		envelope.Step != w.step(messages.MethodCreateDisk) || envelope.Type != messages.Type(messages.ClassResult, messages.MethodCreateDisk) {
		t.Errorf("the result's envelope is %+v", envelope)
	}
	if r.Method != messages.MethodCreateDisk || r.By == "" || r.By != envelope.Source {
		t.Errorf("the result is %+v from %s", r, envelope.Source)
	}
	event := messages.EventSubject("micro", messages.CPIService(cloudName), messages.EventProgress)
	w.until("progress is told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(said.String(), event+" ")
	})
	mu.Lock()
	defer mu.Unlock()
	for place, text := range map[string]string{"the bus": said.String(), "the log": w.log.String()} {
		if strings.Contains(text, "nats://secret") {
			t.Errorf("a secret is on %s", place)
		}
	}
}

func TestProgressIsRare(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	var told []messages.Progress
	stop, err := w.conn.Subscribe(t.Context(), messages.EventFilter("micro"), func(m bus.Msg) {
		var p messages.Progress
		_, err := messages.Decode(m.Data, &p)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			told = append(told, p)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	took := make(chan time.Duration, 1)
	w.start(time.Second, map[string]cpi.Method{messages.MethodDetachDisk: {Run: func(_ context.Context, s *cpi.Step) (any, error) {
		begin := time.Now()
		for i := range 5000 {
			s.Progress("copying", int64(i), 5000)
		}
		took <- time.Since(begin)
		return nil, nil
	}}})
	w.send(messages.MethodDetachDisk, soon(), false)
	w.result(messages.MethodDetachDisk, final)
	w.idle(messages.MethodDetachDisk)
	w.until("progress is told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(told) > 0
	})
	mu.Lock()
	defer mu.Unlock()
	most := int(<-took/(250*time.Millisecond)) + 1
	if len(told) == 0 || len(told) > most {
		t.Fatalf("%d events, want 1 to %d", len(told), most)
	}
	want := messages.Progress{Step: messages.MethodDetachDisk, StepID: w.step(messages.MethodDetachDisk), Message: "copying", Total: 5000}
	if told[0] != want {
		t.Errorf("told %+v, want %+v", told[0], want)
	}
}

// A command must be what its subject says, or a permission on subjects means
// nothing.
func TestCommandsForOtherSubjects(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*messages.Envelope, *messages.StepCommand){
		"another deployment": func(e *messages.Envelope, _ *messages.StepCommand) { e.Deployment = "else" },
		"a wild deployment":  func(e *messages.Envelope, _ *messages.StepCommand) { e.Deployment = ">" },
		"another uid":        func(e *messages.Envelope, _ *messages.StepCommand) { e.DeploymentUID = "zzzzzzzzzz" },
		"another method":     func(_ *messages.Envelope, c *messages.StepCommand) { c.Method = messages.MethodDeleteVM },
		"no deadline":        func(_ *messages.Envelope, c *messages.StepCommand) { c.Deadline = time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.start(time.Second, nil)
			envelope := messages.Envelope{
				ID: "spoilt", Type: messages.Type(messages.ClassStep, messages.MethodCreateDisk), Source: "test", Time: time.Now(),
				Deployment: "micro", DeploymentUID: w.uid, Step: w.step(messages.MethodCreateDisk),
			}
			command := messages.StepCommand{Method: messages.MethodCreateDisk, Args: json.RawMessage(`{}`), Deadline: soon()}
			spoil(&envelope, &command)
			data, err := envelope.Encode(command)
			if err != nil {
				t.Fatal(err)
			}
			w.sendRaw(messages.MethodCreateDisk, data)
			w.idle(messages.MethodCreateDisk)
			if _, posts := w.toy.counts(); posts != 0 || !strings.Contains(w.log.String(), "dropped") {
				t.Errorf("%d posts, the log says %s", posts, w.log)
			}
			w.send(messages.MethodCreateDisk, soon(), false)
			if r := w.result(messages.MethodCreateDisk, final); r.Status != messages.ResultDone {
				t.Errorf("the next command: result is %+v", r)
			}
		})
	}
}
