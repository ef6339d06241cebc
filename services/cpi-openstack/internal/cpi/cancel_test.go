package cpi_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

func away() error {
	return messages.Errorf(messages.CodeCloudUnreachable, "cannot log in at http://k/v3: connection refused")
}

// unwanted tells what an orchestrator tells when a run is cancelled.
func (w *world) unwanted(run string) {
	w.t.Helper()
	data, err := messages.Envelope{
		ID: uuid.NewString(), Type: messages.Type(messages.ClassEvent, messages.EventUnwanted), Source: "test", Time: time.Now(),
		Deployment: "micro", DeploymentUID: w.uid, Run: run, Step: w.step(messages.MethodCreateDisk),
	}.Encode(messages.Unwanted{StepID: w.step(messages.MethodCreateDisk)})
	if err == nil {
		err = w.conn.Publish(messages.EventSubject("micro", messages.ServiceOrchestrator, messages.EventUnwanted), data)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// unwantedUntil tells it again and again, as orchestrators do.
func (w *world) unwantedUntil(what string, so func() bool) {
	w.t.Helper()
	w.until(what, func() bool {
		w.unwanted("an earlier run")
		w.unwanted("r1")
		return so()
	})
}

// told gives the words of the step's progress, as they come.
func (w *world) told() <-chan string {
	w.t.Helper()
	words := make(chan string, 1000)
	stop, err := w.conn.Subscribe(w.t.Context(), messages.EventFilter("micro"), func(m bus.Msg) {
		var p messages.Progress
		if _, err := messages.Decode(m.Data, &p); err == nil {
			words <- p.Message
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(stop)
	return words
}

// hear waits until people are told all of this at once.
func (w *world) hear(words <-chan string, all ...string) {
	w.t.Helper()
	missing := func(said string) bool {
		return slices.ContainsFunc(all, func(part string) bool { return !strings.Contains(said, part) })
	}
	for end := time.After(patience); ; {
		select {
		case said := <-words:
			if !missing(said) {
				return
			}
		case <-end:
			w.t.Fatalf("nobody is told %q", all)
		}
	}
}

// A cloud that is away is waited for, in so many words, and no longer once the
// run is cancelled: before its request and between two looks for its outcome.
func TestCancelEndsTrying(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		look   func(n int, all []cpi.Found) ([]cpi.Found, error)
		status messages.ResultStatus
		posts  int
	}{
		"before the request": {
			func(int, []cpi.Found) ([]cpi.Found, error) { return nil, away() }, messages.ResultFailed, 0,
		},
		"its outcome unknown": {
			func(n int, _ []cpi.Found) ([]cpi.Found, error) {
				if n == 1 {
					return nil, nil
				}
				return nil, away()
			}, messages.ResultUnsettled, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			words := w.told()
			w.toy.look = tc.look
			w.start(time.Hour, nil)
			w.send(messages.MethodCreateDisk, time.Now().Add(time.Hour), false)
			w.hear(words, "attempt 1 failed, tried until ", away().Error(), "`microbosh cancel` ends it")
			var r messages.Result
			w.unwantedUntil("the step has ended", func() bool {
				m, err := w.conn.Last(t.Context(), messages.StreamResult, messages.ResultSubject(cloudName, messages.MethodCreateDisk, "micro", w.step(messages.MethodCreateDisk)))
				if err == nil {
					_, err = messages.Decode(m.Data, &r)
				}
				return err == nil && r.Status != messages.ResultPosting
			})
			if _, posts := w.toy.counts(); r.Status != tc.status || r.Error.Code != messages.CodeCancelled || posts != tc.posts {
				t.Errorf("result is %+v (%v) after %d posts", r, r.Error, posts)
			}
		})
	}
}

// What a cloud that answers was asked for is finished, cancelled or not.
func TestCancelFinishesWhatWasPosted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var looks atomic.Int64
	answers := make(chan struct{})
	w.toy.look = func(n int, all []cpi.Found) ([]cpi.Found, error) {
		looks.Store(int64(n))
		select {
		case <-answers:
			return all, nil
		default:
		}
		if n == 1 {
			return nil, nil
		}
		return nil, messages.Errorf(messages.CodeCloudTransient, "busy")
	}
	w.start(time.Hour, nil)
	w.send(messages.MethodCreateDisk, soon(), false)
	w.until("it is tried again", func() bool { return looks.Load() > 2 })
	seen := looks.Load()
	w.unwantedUntil("it is tried again although nobody wants it", func() bool { return looks.Load() > seen+1 })
	close(answers)
	if r := w.result(messages.MethodCreateDisk, final); r.Status != messages.ResultDone {
		t.Errorf("result is %+v (%v)", r, r.Error)
	}
}

// What a run asks first is no wait for a cloud that is not there.
func TestFirstContact(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err   error
		first bool
		done  bool
	}{
		"nobody there":        {away(), true, false},
		"nobody there, later": {away(), false, true},
		"busy":                {messages.Errorf(messages.CodeCloudTransient, "busy"), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.toy.look = func(n int, all []cpi.Found) ([]cpi.Found, error) {
				if n == 1 {
					return nil, tc.err
				}
				return all, nil
			}
			w.start(time.Hour, nil)
			w.sendCommand(messages.StepCommand{
				Method: messages.MethodCreateDisk, Args: json.RawMessage(`{}`), Deadline: time.Now().Add(time.Hour), First: tc.first,
			})
			r := w.result(messages.MethodCreateDisk, final)
			if done := r.Status == messages.ResultDone; done != tc.done || !done && r.Error.Code != messages.CodeCloudUnreachable {
				t.Errorf("result is %+v (%v)", r, r.Error)
			}
		})
	}
}

// sendCommand asks for the first use of a step, in other words than send's.
func (w *world) sendCommand(c messages.StepCommand) {
	w.t.Helper()
	data, err := messages.Envelope{
		ID: uuid.NewString(), Type: messages.Type(messages.ClassStep, c.Method), Source: "test", Time: time.Now(),
		Deployment: "micro", DeploymentUID: w.uid, Run: "r1", Step: w.step(c.Method),
	}.Encode(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.sendRaw(c.Method, data)
}
