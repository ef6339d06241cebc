package cpi_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
)

func TestMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var runs atomic.Int64
	w.start(time.Second, map[string]cpi.Method{
		messages.MethodDiscoverIP: {Run: func(_ context.Context, s *cpi.Step) (any, error) {
			if s.Secrets().Mbus != "nats://secret" {
				t.Errorf("secrets are %+v", s.Secrets())
			}
			if runs.Add(1) < 3 {
				return nil, messages.Errorf(messages.CodeCloudTransient, "not yet")
			}
			return messages.DiscoverIPOutputs{IP: "192.0.2.1"}, nil
		}},
		messages.MethodDetachDisk: {Run: func(context.Context, *cpi.Step) (any, error) { return nil, nil }},
		messages.MethodAttachDisk: {Run: func(ctx context.Context, _ *cpi.Step) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}},
	})
	for _, method := range []string{messages.MethodDiscoverIP, messages.MethodDetachDisk, messages.MethodDeleteVM} {
		w.send(method, soon(), false)
	}
	w.send(messages.MethodAttachDisk, time.Now().Add(100*time.Millisecond), false)
	for _, tc := range []struct {
		method  string
		status  messages.ResultStatus
		code    messages.Code
		outputs string
	}{
		{messages.MethodDiscoverIP, messages.ResultDone, "", `{"ip":"192.0.2.1","service_ip":""}`},
		{messages.MethodDetachDisk, messages.ResultDone, "", ""},
		{messages.MethodDeleteVM, messages.ResultFailed, messages.CodeNotSupported, ""},
		{messages.MethodAttachDisk, messages.ResultFailed, messages.CodeDeadline, ""},
	} {
		r := w.result(tc.method, final)
		if r.Status != tc.status || messages.CodeOf(asError(r.Error)) != tc.code || string(r.Outputs) != tc.outputs {
			t.Errorf("%s: result is %+v (%v), outputs %s", tc.method, r, r.Error, r.Outputs)
		}
		w.idle(tc.method)
	}
	if runs.Load() != 3 {
		t.Errorf("discover_ip ran %d times, want 3", runs.Load())
	}

	// A command that comes again is answered from the ledger.
	w.send(messages.MethodDiscoverIP, soon(), false)
	w.idle(messages.MethodDiscoverIP)
	if runs.Load() != 3 {
		t.Errorf("a settled step ran again")
	}
}

func TestUnreadableCommandsAreDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(time.Second, nil)
	for _, data := range []string{"", "{", strings.Repeat("x", 1000), `{"specversion":"1.0","id":"1","type":"bosh.v1.step.create_disk","deployment":"micro","step":"no step","data":{}}`} {
		w.sendRaw(messages.MethodCreateDisk, []byte(data))
	}
	w.idle(messages.MethodCreateDisk)
	if _, posts := w.toy.counts(); posts != 0 {
		t.Errorf("an unreadable command made something")
	}
}

func TestSecretsForAnotherKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(time.Second, nil)
	other := newWorld(t)
	w.ring = other.ring
	w.send(messages.MethodCreateDisk, soon(), false)
	r := w.result(messages.MethodCreateDisk, final)
	if _, posts := w.toy.counts(); r.Status != messages.ResultFailed || r.Error.Code != messages.CodeSealUnreadable || posts != 0 {
		t.Errorf("result is %+v (%v) after %d posts", r, r.Error, posts)
	}
}

// A defect ends the step that met it, and no other.
func TestDefect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.toy.finish = func(context.Context, *cpi.Step, string) error { panic("marker") }
	w.start(time.Second, map[string]cpi.Method{
		messages.MethodDetachDisk: {Run: func(context.Context, *cpi.Step) (any, error) { panic("marker") }},
		messages.MethodAttachDisk: {Run: func(context.Context, *cpi.Step) (any, error) { return nil, nil }},
	})
	for method, want := range map[string]messages.ResultStatus{
		messages.MethodDetachDisk: messages.ResultFailed, messages.MethodCreateDisk: messages.ResultUnsettled, messages.MethodAttachDisk: messages.ResultDone,
	} {
		w.send(method, soon(), false)
		r := w.result(method, func(r messages.Result) bool { return r.Status != messages.ResultPosting })
		if r.Status != want || (r.Error != nil && (r.Error.Code != messages.CodeInternal || strings.Contains(r.Error.Message, "marker"))) {
			t.Errorf("%s is %+v (%v), want %s", method, r, r.Error, want)
		}
		w.idle(method)
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(time.Second, nil)
	var info messages.CPIInfo
	subject := messages.ServiceSubject(messages.CPIService(cloudName), messages.SvcInfo)
	if err := w.conn.Call(t.Context(), subject, messages.CallRequest{}, &info); err != nil || info.Host == "" {
		t.Errorf("info is %+v: %v", info, err)
	}
}
