package openstack_test

import (
	"context"
	"testing"
	"time"

	"github.com/microbosh/microbosh/deploy/devcloud"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/cpi"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/openstack"
)

// create is a step that makes something.
type create struct {
	name, method, path string
}

var creates = []create{
	{"image", messages.MethodCreateStemcell, "/v2/images$"},
	{"server", messages.MethodCreateVM, "/servers$"},
	{"volume", messages.MethodCreateDisk, "/volumes$"},
}

// args are the step's; a server first needs its image.
func (w *world) args(c create) any {
	w.t.Helper()
	switch c.method {
	case messages.MethodCreateStemcell:
		return w.stemcell()
	case messages.MethodCreateVM:
		var image messages.CreateStemcellOutputs
		w.must(messages.MethodCreateStemcell, 1, w.stemcell(), &image)
		return w.vm(image.CID)
	}
	return w.disk()
}

// one checks that the cloud holds exactly what the result names.
func (w *world) one(c create, r messages.Result) {
	w.t.Helper()
	inv := w.cloud.Inventory()
	have := map[string][]devcloud.Item{
		messages.MethodCreateStemcell: inv.Images, messages.MethodCreateVM: inv.Servers, messages.MethodCreateDisk: inv.Volumes,
	}[c.method]
	if r.Status != messages.ResultDone || len(have) != 1 || have[0].ID != r.CID {
		w.t.Fatalf("result is %s %s (%v); the cloud holds %+v", r.Status, r.CID, r.Error, have)
	}
}

// held waits until the cloud holds a request back.
func (w *world) held() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if _, err := w.cloud.Held(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// idle waits until no command of the method is left.
func (w *world) idle(method string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	err := cpi.Await(ctx, 50*time.Millisecond, func(ctx context.Context) (bool, error) {
		left, err := w.conn.Read(ctx, messages.StreamStep, messages.StepSubject(openstack.Name, method, "micro"), 0)
		return len(left) == 0, err
	})
	if err != nil {
		w.t.Fatalf("commands are left in the queue: %v", err)
	}
}

// A CPI that dies while its request is on the way leaves it to the next one.
func TestDiesInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, c := range creates {
		for name, mode := range map[string]devcloud.Mode{"before the effect": devcloud.ModeHold, "after the effect": devcloud.ModeHoldAfter} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				args := w.args(c)
				w.faults(devcloud.Fault{Mode: mode, Method: "POST", Path: c.path, Count: 1})
				w.send(c.method, 1, args)
				w.held()
				w.stop()
				w.start()
				w.one(c, w.result(c.method, 1))
			})
		}
	}
}

// The image that a CPI was uploading when it died is completed.
func TestDiesWhileUploading(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]devcloud.Mode{"before the data": devcloud.ModeHold, "after the data": devcloud.ModeHoldAfter} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			args := w.stemcell()
			w.faults(devcloud.Fault{Mode: mode, Method: "PUT", Path: "/file$", Count: 1})
			w.send(messages.MethodCreateStemcell, 1, args)
			w.held()
			w.stop()
			w.start()
			r := w.result(messages.MethodCreateStemcell, 1)
			w.one(creates[0], r)
			w.must(messages.MethodCreateVM, 1, w.vm(r.CID), nil)
		})
	}
}

// A CPI whose request hangs for longer than the settle window is overtaken by
// another; when the request takes effect after all, only one resource stays.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	for _, c := range creates {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			args := w.args(c)
			w.faults(devcloud.Fault{Mode: devcloud.ModeHold, Method: "POST", Path: c.path, Count: 1})
			w.send(c.method, 1, args)
			w.held()
			w.start()
			w.send(c.method, 1, args)
			first := w.result(c.method, 1)
			w.cloud.Release()
			w.idle(c.method)
			last := w.result(c.method, 1)
			if first.CID != last.CID {
				t.Errorf("the last word changed from %s to %s", first.CID, last.CID)
			}
			w.one(c, last)
		})
	}
}
