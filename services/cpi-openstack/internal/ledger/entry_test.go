package ledger_test

import (
	"errors"
	"testing"

	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/services/cpi-openstack/internal/ledger"
)

func step(source string) ledger.Step {
	return ledger.Step{
		Cloud: "toy", Method: messages.MethodCreateDisk, Source: source,
		Command: messages.Envelope{ID: "c1", Deployment: "micro", DeploymentUID: "k3v9q2m1xa", Run: "r1", Step: "k3v9q2m1xa-create_disk-1"},
	}
}

func TestOnlyOneHasTheLastWord(t *testing.T) {
	t.Parallel()
	conn := bustest.Start(t).Connect(t, "test")
	ctx := t.Context()
	open := func(source string) *ledger.Entry {
		t.Helper()
		e, err := ledger.Open(ctx, conn, step(source))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	a, b := open("a"), open("b")
	if a.Result().Status != "" || a.Final() {
		t.Fatalf("an absent entry is %+v", a.Result())
	}
	if err := a.Write(ctx, messages.Result{Status: messages.ResultPosting, Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	if err := b.Write(ctx, messages.Result{Status: messages.ResultPosting, Attempt: 1}); !errors.Is(err, ledger.ErrLost) {
		t.Fatalf("the second of two wrote: %v", err)
	}
	if b.Result().Status != "" {
		t.Errorf("a lost write is remembered as %+v", b.Result())
	}
	if err := b.Reload(ctx); err != nil || b.Result().By != "a" || b.Result().Attempt != 1 {
		t.Fatalf("read %+v: %v", b.Result(), err)
	}
	if err := b.Write(ctx, messages.Result{Status: messages.ResultDone, CID: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := a.Write(ctx, messages.Result{Status: messages.ResultDone, CID: "y"}); !errors.Is(err, ledger.ErrLost) {
		t.Fatalf("the first wrote over the second: %v", err)
	}
	last, err := conn.Last(ctx, messages.StreamResult, messages.ResultSubject("toy", messages.MethodCreateDisk, "micro", "k3v9q2m1xa-create_disk-1"))
	if err != nil {
		t.Fatal(err)
	}
	var r messages.Result
	e, err := messages.Decode(last.Data, &r)
	if err != nil || r.CID != "x" || r.By != "b" || r.Method != messages.MethodCreateDisk || e.CausationID != "c1" || e.Run != "r1" {
		t.Errorf("the last word is %+v in %+v: %v", r, e, err)
	}
	if c := open("c"); !c.Final() {
		t.Errorf("the entry is %+v, want a final one", c.Result())
	}
}

func TestUnreadableEntryIsAnError(t *testing.T) {
	t.Parallel()
	conn := bustest.Start(t).Connect(t, "test")
	subject := messages.ResultSubject("toy", messages.MethodCreateDisk, "micro", "k3v9q2m1xa-create_disk-1")
	if _, err := conn.Send(t.Context(), subject, "", []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Open(t.Context(), conn, step("a")); messages.CodeOf(err) != messages.CodeMalformed {
		t.Errorf("got %v, want message_malformed", err)
	}
}
