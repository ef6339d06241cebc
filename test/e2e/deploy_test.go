package e2e_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

func deploy(t *testing.T, l *lab.Lab, args ...string) {
	t.Helper()
	if out, code := l.CLI(append([]string{"deploy", l.Stemcell, "-n"}, args...)...); code != 0 {
		t.Fatalf("deploy ended with %d:\n%s", code, out)
	}
}

// whole makes sure of exactly one of each thing.
func whole(t *testing.T, l *lab.Lab) {
	t.Helper()
	inv := l.Inventory()
	if len(inv.Servers) != 1 || len(inv.Volumes) != 1 || len(inv.Images) != 1 || len(inv.Ports) != 1 {
		t.Errorf("the cloud holds %+v, want one server, volume, image and port", inv)
	}
}

func remove(t *testing.T, l *lab.Lab) {
	t.Helper()
	if out, code := l.CLI("delete", "-n"); code != 0 {
		t.Fatalf("delete ended with %d:\n%s", code, out)
	}
	if inv := l.Inventory(); !inv.Empty() {
		t.Errorf("the cloud still holds %+v", inv)
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{})
	l.BuildStemcell()
	ops := l.Connect(messages.RoleOps)
	heard := listen(t, ops, "bosh.v1.>", "hm.>")

	out, code := l.CLI("deploy", l.Stemcell, "-n")
	if code != 0 || !strings.Contains(out, "took 00:00:") {
		t.Fatalf("deploy ended with %d:\n%s", code, out)
	}
	whole(t, l)
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"status"}, "VM CID", 0},
		{[]string{"deployments"}, "Deployments total: 1", 0},
		{[]string{"agent", "ping"}, "pong", 0},
		{[]string{"deploy", l.Stemcell, "-n"}, "Instance exists. Did you mean to --update?", 1},
		{[]string{"deploy", l.Stemcell, "-n", "--update"}, "Will skip deploy due to no changes", 0},
	} {
		if out, code := l.CLI(c.args...); code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("microbosh %v ended with %d:\n%s", c.args, code, out)
		}
	}
	l.WriteManifest(2048, "changed")
	deploy(t, l, "--update")
	whole(t, l)
	remove(t, l)

	if out, code := l.CLI("delete", "-n"); code != 1 || !strings.Contains(out, "No existing instance to delete") {
		t.Errorf("a second delete ended with %d:\n%s", code, out)
	}
	story := heard()
	for _, want := range []string{"bosh.v1.cmd.micro", "bosh.v1.journal.micro.run_claimed", "bosh.v1.step.openstack.create_vm.micro", "bosh.v1.event.micro.", "hm.agent.heartbeat."} {
		if !strings.Contains(story, want) {
			t.Errorf("nobody who listens hears %s", want)
		}
	}
}

// listen collects what an identity hears on the subjects.
func listen(t *testing.T, conn *bus.Conn, subjects ...string) func() string {
	t.Helper()
	lines := make(chan string, 100_000)
	for _, subject := range subjects {
		stop, err := conn.Subscribe(t.Context(), subject, func(m bus.Msg) { lines <- m.Subject + " " + string(m.Data) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
	}
	return func() string {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := conn.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for {
			select {
			case line := <-lines:
				b.WriteString(line + "\n")
			default:
				return b.String()
			}
		}
	}
}

// intent waits until the step is intended.
func intent(l *lab.Lab, conn *bus.Conn, step string) {
	l.Follow(conn, func(f lab.Fact) bool { return f.Name == messages.FactStepIntended && f.Step == step })
}

// start runs a deploy in the background and gives what waits for its end.
func start(t *testing.T, l *lab.Lab, args ...string) func() (string, int) {
	t.Helper()
	type end struct {
		out  string
		code int
	}
	ended := make(chan end, 1)
	go func() {
		out, code := l.CLI(append([]string{"deploy", l.Stemcell, "-n"}, args...)...)
		ended <- end{out, code}
	}()
	return func() (string, int) { e := <-ended; return e.out, e.code }
}

// The server's POST takes long enough to be killed in the middle of.
func slowBoot() lab.Fault {
	return lab.Fault{Mode: "delay", Method: "POST", Path: "/servers$", DelayMS: 1000}
}

// slowSettle waits longer for a lost create than slowBoot holds it.
func slowSettle() lab.Options { return lab.Options{Settle: 10 * time.Second} }

func TestOrchestratorKilledInCreateVM(t *testing.T) {
	t.Parallel()
	l := lab.New(t, slowSettle())
	l.BuildStemcell()
	l.Faults(slowBoot())
	conn := l.Connect(messages.RoleOps)
	end := start(t, l)
	intent(l, conn, messages.MethodCreateVM)
	l.Orchestrators[0].Kill()
	l.Orchestrators[0].Restart()
	if out, code := end(); code != 0 {
		t.Fatalf("deploy ended with %d:\n%s", code, out)
	}
	whole(t, l)
	remove(t, l)
}

func TestCPIKilledInCreateVM(t *testing.T) {
	t.Parallel()
	l := lab.New(t, slowSettle())
	l.BuildStemcell()
	l.Faults(slowBoot())
	conn := l.Connect(messages.RoleOps)
	end := start(t, l)
	posting(t, l, conn)
	l.CPIs[0].Kill()
	l.CPIs[0].Restart()
	if out, code := end(); code != 0 {
		t.Fatalf("deploy ended with %d:\n%s", code, out)
	}
	whole(t, l)
	remove(t, l)
}

// posting waits until the CPI says that it asks the cloud for the server.
func posting(t *testing.T, l *lab.Lab, conn *bus.Conn) {
	t.Helper()
	heard(t, conn, messages.StreamResult, messages.ResultFilter(l.Name), "the CPI does not ask for a server", func(data []byte) bool {
		var result messages.Result
		_, err := messages.Decode(data, &result)
		return err == nil && result.Method == messages.MethodCreateVM && result.Status == messages.ResultPosting
	})
}

// heard waits until a stream has the message that is meant.
func heard(t *testing.T, conn *bus.Conn, stream, filter, otherwise string, meant func(data []byte) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	feed, err := conn.Follow(ctx, stream, []string{filter}, bus.Start{})
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Stop()
	for {
		m, err := feed.Next(ctx)
		if err != nil {
			t.Fatalf("%s: %v", otherwise, err)
		}
		if meant(m.Data) {
			return
		}
	}
}

func TestAnotherOrchestratorTakesOverAFrozenOne(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Orchestrators: 2})
	l.BuildStemcell()
	l.Faults(slowBoot())
	conn := l.Connect(messages.RoleOps)
	end := start(t, l)
	var owner string
	l.Follow(conn, func(f lab.Fact) bool {
		if f.Name == messages.FactRunClaimed {
			owner = f.Source
		}
		return f.Name == messages.FactStepIntended && f.Step == messages.MethodCreateVM
	})
	frozen := l.Orchestrators[0]
	if !strings.HasSuffix(owner, frozen.PID()) {
		frozen = l.Orchestrators[1]
	}
	frozen.Freeze()
	l.Follow(conn, func(f lab.Fact) bool { return f.Name == messages.FactRunClaimed && f.Source != owner })
	frozen.Thaw()
	if out, code := end(); code != 0 {
		t.Fatalf("deploy ended with %d:\n%s", code, out)
	}
	whole(t, l)
	remove(t, l)
}
