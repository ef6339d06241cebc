package embed_test

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
)

var update = flag.Bool("update", false, "write what was measured into docs/security.md")

// roles in the order of the columns below.
var roles = []string{
	messages.RoleCLI, messages.RoleOrchestrator, messages.RoleCPI,
	messages.RoleRegistry, messages.RoleOps, messages.RoleAgent, messages.RoleAdmin, warden,
	messages.RoleDirector, messages.RoleHealthMonitor,
}

// warden is the registry's identity in the bus's system account.
const warden = "registry.sys"

// p may publish, s may subscribe, b both, . neither. agt is the agent a1, sys
// the registry's identity in the bus's system account, where nothing but
// $SYS.> is.
const matrix = `
                                                    cli orc cpi reg ops agt adm sys dir hm
bosh.v1.cmd.micro                                    p   .   .   .   s   .   b   .   .   .
bosh.v1.journal.micro.step_done                      s   p   .   .   s   .   b   .   .   .
bosh.v1.step.openstack.create_vm.micro               .   p   .   .   s   .   b   .   .   .
bosh.v1.result.openstack.create_vm.micro.u-c-1       s   .   p   .   s   .   b   .   .   .
bosh.v1.event.micro.orchestrator.run_closed          s   p   .   .   s   .   b   .   .   .
bosh.v1.event.micro.orchestrator.unwanted            s   p   s   .   s   .   b   .   .   .
bosh.v1.event.micro.cpi-openstack.progress           s   .   p   .   s   .   b   .   .   .
bosh.v1.event.micro.cpi-openstack.run_closed         s   .   .   .   s   .   b   .   .   .
bosh.v1.svc.orchestrator.status                      p   b   .   .   s   .   b   .   .   .
bosh.v1.svc.registry.settings_get                    .   .   p   s   s   .   b   .   .   .
bosh.v1.svc.registry.settings_put                    .   .   p   s   s   .   b   .   .   .
bosh.v1.svc.registry.settings_delete                 .   .   p   s   s   .   b   .   .   .
bosh.v1.svc.registry.identity_create                 .   p   .   s   s   .   b   .   .   .
bosh.v1.svc.registry.identity_revoke                 .   p   .   s   s   .   b   .   .   .
bosh.v1.svc.cpi-openstack.info                       p   p   b   .   s   .   b   .   .   .
agent.a1                                             .   p   .   .   .   s   b   .   p   .
agent.a2                                             .   p   .   .   .   .   b   .   p   .
agent.*                                              .   .   .   .   .   .   s   .   .   .
agent.>                                              .   .   .   .   .   .   s   .   .   .
director.d.a1.r                                      .   s   .   .   .   p   b   .   s   .
director.>                                           .   s   .   .   .   .   s   .   s   .
director.d.a2.r                                      .   s   .   .   .   .   b   .   s   .
hm.agent.heartbeat.a2                                s   s   .   .   s   .   b   .   .   s
hm.agent.heartbeat.a1                                s   s   .   .   s   p   b   .   .   s
hm.agent.alert.a1                                    s   s   .   .   s   p   b   .   .   s
hm.agent.shutdown.a1                                 s   s   .   .   s   p   b   .   .   s
hm.director.alert                                    .   .   .   .   s   .   b   .   p   s
>                                                    .   .   .   .   .   .   s   .   .   .
_INBOX.x                                             .   .   .   .   .   .   b   .   .   .
_INBOX_cli.x                                         s   .   .   .   .   .   b   .   .   .
_INBOX_orchestrator.x                                .   s   .   .   .   .   b   .   .   .
_INBOX_cpi.x                                         .   .   s   .   .   .   b   .   .   .
_INBOX_registry.x                                    .   .   .   s   .   .   b   s   .   .
_INBOX_ops.x                                         .   .   .   .   s   .   b   .   .   .
$SRV.PING                                            p   b   b   s   p   .   b   .   .   .
$SYS.REQ.SERVER.PING.CONNZ                           .   .   .   .   .   .   b   p   .   .
$KV.bosh_identities.a1                               .   .   .   p   .   .   b   .   .   .
$JS.API.STREAM.MSG.GET.KV_bosh_identities            .   .   .   p   .   .   b   .   .   .
$JS.API.CONSUMER.CREATE.KV_bosh_identities.x         .   .   .   .   .   .   b   .   .   .
$KV.bosh_settings.vm-1                               .   .   .   p   .   .   b   .   .   .
$JS.API.STREAM.MSG.GET.KV_bosh_settings              .   .   .   p   .   .   b   .   .   .
$O.bosh_stemcells.C.micro.x.0.y                      p   .   .   .   .   .   b   .   .   .
$JS.API.STREAM.MSG.GET.OBJ_bosh_stemcells            p   .   p   .   .   .   b   .   .   .
$JS.API.CONSUMER.CREATE.OBJ_bosh_stemcells.x         .   .   p   .   .   .   b   .   .   .
$JS.API.STREAM.PURGE.OBJ_bosh_stemcells              p   p   .   .   .   .   b   .   .   .
$JS.API.STREAM.MSG.GET.BOSH_JOURNAL                  p   p   .   .   p   .   b   .   .   .
$JS.API.STREAM.MSG.GET.BOSH_RESULT                   p   p   p   .   p   .   b   .   .   .
$JS.API.STREAM.CREATE.BOSH_JOURNAL                   .   .   .   .   .   .   b   .   .   .
$JS.API.STREAM.UPDATE.BOSH_JOURNAL                   .   .   .   .   .   .   b   .   .   .
$JS.API.STREAM.DELETE.BOSH_JOURNAL                   .   .   .   .   .   .   b   .   .   .
$JS.API.STREAM.PURGE.BOSH_RESULT                     .   .   .   .   .   .   b   .   .   .
$JS.API.STREAM.MSG.DELETE.BOSH_CMD                   .   .   .   .   .   .   b   .   .   .
$JS.API.STREAM.INFO.BOSH_CMD                         p   p   .   .   p   .   b   .   .   .
$JS.API.CONSUMER.CREATE.BOSH_JOURNAL.x               p   p   .   .   p   .   b   .   .   .
$JS.API.CONSUMER.CREATE.BOSH_CMD.x                   .   .   .   .   .   .   b   .   .   .
$JS.API.CONSUMER.CREATE.BOSH_STEP.x                  .   .   .   .   .   .   b   .   .   .
$JS.API.CONSUMER.CREATE.KV_bosh_settings.x           .   .   .   .   .   .   b   .   .   .
$JS.API.CONSUMER.DELETE.BOSH_STEP.cpi-openstack      .   .   .   .   .   .   b   .   .   .
$JS.API.CONSUMER.MSG.NEXT.BOSH_STEP.cpi-openstack    .   .   p   .   .   .   b   .   .   .
$JS.API.CONSUMER.MSG.NEXT.BOSH_CMD.orchestrator      .   p   .   .   .   .   b   .   .   .
$JS.ACK.BOSH_CMD.orchestrator.1.1.1.1.0              .   p   .   .   .   .   b   .   .   .
$JS.ACK.BOSH_STEP.cpi-openstack.1.1.1.1.0            .   .   p   .   .   .   b   .   .   .
`

// TestMatrix asks a real server what each role may do.
func TestMatrix(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir)
	admin := connect(t, dir, s.URL(), messages.RoleAdmin)
	conns := map[string]*bus.Conn{}
	for _, r := range roles {
		conns[r] = connect(t, dir, s.URL(), r)
	}
	for _, r := range roles { // the admin may do everything; nobody may publish there
		if got := maySubscribe(t, conns[r], messages.LoginSubject); got != (r == messages.RoleRegistry || r == messages.RoleAdmin) {
			t.Errorf("%s may hear of logins: %v", r, got)
		}
	}
	rows := []string{
		"Measured on a running bus by `pkg/bus/embed` and written by `make generate`; do not edit below this line. `agent` is one",
		"agent, a1: what another agent has is out of its reach. `registry.sys` is the registry's second identity, in the bus's",
		"system account. `director` and `hm` are BOSH's own, by certificate. Publishing to a wildcard is impossible.", "",
		"| subject | " + strings.Join(roles, " | ") + " |", "|---" + strings.Repeat("|---", len(roles)) + "|",
	}
	for _, line := range strings.Split(strings.TrimSpace(matrix), "\n")[1:] {
		f := strings.Fields(line)
		if len(f) != 1+len(roles) {
			t.Fatalf("the row %q has %d columns", line, len(f)-1)
		}
		subject, cells := f[0], []string{"`" + f[0] + "`"}
		for i, role := range roles {
			want := f[1+i]
			hears, says := maySubscribe(t, conns[role], subject), false
			if got := hears; got != strings.Contains("sb", want) {
				t.Errorf("%s may subscribe to %s: %v", role, subject, got)
			}
			if !strings.ContainsAny(subject, "*>") {
				if role == warden { // nobody else hears in its account
					err := conns[role].Call(within(t), subject, nil, nil)
					says = messages.CodeOf(err) != messages.CodeBusDenied
				} else {
					says = mayPublish(t, admin, conns[role], subject)
				}
				if says != strings.Contains("pb", want) {
					t.Errorf("%s may publish to %s: %v", role, subject, says)
				}
			}
			cells = append(cells, cell(hears, says))
		}
		rows = append(rows, "| "+strings.Join(cells, " | ")+" |")
	}
	golden(t, "../../../docs/security.md", strings.Join(rows, "\n")+"\n")
}

func cell(hears, says bool) string {
	var words []string
	if says {
		words = append(words, "pub")
	}
	if hears {
		words = append(words, "sub")
	}
	return strings.Join(words, " ")
}

// golden compares the end of a file, from text's first line on, with what was
// measured, or writes it.
func golden(t *testing.T, path, text string) {
	t.Helper()
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(text, "\n")
	written, measured, _ := strings.Cut(string(have), first)
	if *update {
		measured = strings.TrimPrefix(text, first)
		if err := os.WriteFile(path, []byte(written+text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if first+measured != text {
		t.Errorf("%s is not what was measured: run `make generate`", path)
	}
}

func maySubscribe(t *testing.T, c *bus.Conn, subject string) bool {
	t.Helper()
	stop, err := c.Subscribe(within(t), subject, func(bus.Msg) {})
	if err != nil {
		if messages.CodeOf(err) != messages.CodeBusDenied {
			t.Fatalf("subscribe to %s: %v", subject, err)
		}
		return false
	}
	stop()
	return true
}

// mayPublish sends a probe as c, then a mark as admin, and tells which one
// arrives first.
func mayPublish(t *testing.T, admin, c *bus.Conn, subject string) bool {
	t.Helper()
	ctx := within(t)
	got := make(chan string, 16)
	stop, err := admin.Subscribe(ctx, subject, func(m bus.Msg) {
		if s := string(m.Data); s == "probe" || s == "mark" {
			got <- s
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, send := range []struct {
		c    *bus.Conn
		text string
	}{{c, "probe"}, {admin, "mark"}} {
		if err := send.c.Publish(subject, []byte(send.text)); err != nil {
			t.Fatal(err)
		}
		if err := send.c.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case s := <-got:
		return s == "probe"
	case <-ctx.Done():
		t.Fatalf("nothing arrived on %s", subject)
		return false
	}
}

// TestRoles uses the whole Conn as each role that needs it.
func TestRoles(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	dir := t.TempDir()
	s := start(t, dir)
	as := map[string]*bus.Conn{}
	for _, r := range roles {
		as[r] = connect(t, dir, s.URL(), r)
	}
	orc, cpi, cli := as[messages.RoleOrchestrator], as[messages.RoleCPI], as[messages.RoleCLI]
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	denied := func(what string, err error) {
		t.Helper()
		if messages.CodeOf(err) != messages.CodeBusDenied {
			t.Errorf("%s: %v, want bus_denied", what, err)
		}
	}
	fact := bus.Append{
		Subject: messages.JournalSubject("micro", "f"), Filter: messages.JournalFilter("micro"), ID: "i1", Data: []byte("fact"),
	}
	must(orc.Append(ctx, fact))
	result := messages.ResultSubject("openstack", "create_vm", "micro", "u-create_vm-1")
	must(cpi.Append(ctx, bus.Append{Subject: result, ID: "r1", Data: []byte("result")}))
	must(cli.Send(ctx, messages.CommandSubject("micro"), "c1", []byte("command")))
	must(orc.Send(ctx, messages.StepSubject("openstack", "create_vm", "micro"), "", []byte("step")))
	for _, r := range []string{messages.RoleCLI, messages.RoleCPI, messages.RoleRegistry, messages.RoleOps, messages.RoleAgent} {
		_, err := as[r].Append(ctx, fact)
		denied(r+" writes the journal", err)
	}

	for _, r := range []string{messages.RoleCLI, messages.RoleOps, messages.RoleOrchestrator} {
		for _, stream := range []string{messages.StreamJournal, messages.StreamResult} {
			f, err := as[r].Follow(ctx, stream, nil, bus.Start{LastPerSubject: true})
			must(nil, err)
			must(f.Next(ctx))
			f.Stop()
			f, err = as[r].Follow(ctx, stream, []string{messages.JournalFilter("micro"), result}, bus.Start{New: true})
			must(nil, err)
			f.Stop()
			must(as[r].Read(ctx, stream, "bosh.v1.>", 0))
		}
		_, err := as[r].Follow(ctx, messages.StreamStep, nil, bus.Start{})
		denied(r+" takes steps", err)
	}
	f, err := cpi.Follow(ctx, messages.StreamResult, []string{result}, bus.Start{})
	must(nil, err)
	must(f.Next(ctx))
	f.Stop()
	_, err = as[messages.RoleRegistry].Follow(ctx, messages.StreamJournal, nil, bus.Start{})
	denied("the registry follows the journal", err)

	work(t, cpi, messages.StepConsumer("openstack"), "step")
	work(t, orc, messages.CommandConsumer(), "command")
	denied("ops works", as[messages.RoleOps].Work(ctx, messages.StepConsumer("openstack"), 1, nil))
	denied("the CPI works off commands", cpi.Work(ctx, messages.CommandConsumer(), 1, nil))

	b, err := as[messages.RoleRegistry].Bucket(ctx, messages.BucketSettings)
	must(nil, err)
	must(b.Put(ctx, "vm-1", []byte("sealed"), 0))
	must(b.Get(ctx, "vm-1"))
	must(nil, b.Delete(ctx, "vm-1"))
	for _, r := range []string{messages.RoleCLI, messages.RoleCPI, messages.RoleOps, messages.RoleOrchestrator} {
		_, err := as[r].Bucket(ctx, messages.BucketSettings)
		denied(r+" opens the settings", err)
	}

	serve(t, as[messages.RoleRegistry], messages.ServiceRegistry, messages.SvcSettingsGet)
	serve(t, orc, messages.ServiceOrchestrator, messages.SvcStatus)
	serve(t, cpi, messages.CPIService("openstack"), messages.SvcInfo)
	info, status := messages.ServiceSubject("cpi-openstack", messages.SvcInfo), messages.ServiceSubject("orchestrator", messages.SvcStatus)
	settings := messages.ServiceSubject("registry", messages.SvcSettingsGet)
	for _, call := range []struct{ role, subject string }{
		{messages.RoleCLI, status}, {messages.RoleCLI, info}, {messages.RoleOrchestrator, info}, {messages.RoleCPI, settings},
	} {
		var out string
		if err := as[call.role].Call(ctx, call.subject, nil, &out); err != nil || out != "ok" {
			t.Errorf("%s calls %s: %q %v", call.role, call.subject, out, err)
		}
	}
	denied("the CLI asks for settings", cli.Call(ctx, settings, nil, nil))
	denied("ops asks the orchestrator", as[messages.RoleOps].Call(ctx, status, nil, nil))
	denied("an agent asks for settings", as[messages.RoleAgent].Call(ctx, settings, nil, nil))
}

func work(t *testing.T, c *bus.Conn, consumer messages.Consumer, want string) {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	err := c.Work(ctx, consumer, 1, func(ctx context.Context, j *bus.Job) error {
		if string(j.Data) != want {
			t.Errorf("the job is %q, want %q", j.Data, want)
		}
		defer cancel()
		if err := j.InProgress(); err != nil {
			t.Error(err)
		}
		if err := j.Done(ctx); err != nil {
			t.Error(err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// serve answers "ok" for the length of the test, from when it returns.
func serve(t *testing.T, c *bus.Conn, service, method string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done, ready := make(chan error, 1), make(chan struct{})
	go func() {
		done <- c.Serve(ctx, bus.Service{Name: service, Version: "1.0.0", Ready: func() { close(ready) }, Endpoints: map[string]func(context.Context, []byte) (any, error){
			method: func(context.Context, []byte) (any, error) { return json.RawMessage(`"ok"`), nil },
		}})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		t.Fatalf("%s is not served: %v", service, err)
	}
}
