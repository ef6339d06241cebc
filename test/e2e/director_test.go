package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/lab"
)

// violations collects what a server complains of.
type violations struct {
	mu  sync.Mutex // guards all
	all []string
}

func (v *violations) Errorf(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all = append(v.all, fmt.Sprintf(format, args...))
}
func (v *violations) Warnf(string, ...any)   {}
func (v *violations) Noticef(string, ...any) {}
func (v *violations) Fatalf(string, ...any)  {}
func (v *violations) Debugf(string, ...any)  {}
func (v *violations) Tracef(string, ...any)  {}

// director plays BOSH's Director and health monitor on a server whose users may
// do what a Director writes into its auth.json, no more.
type director struct {
	*testing.T
	url        string
	violations *violations
	conn       *nats.Conn
	beats      chan *nats.Msg
}

func newDirector(t *testing.T, agents ...string) *director {
	t.Helper()
	return newDirectorOn(t, "127.0.0.1", agents...)
}

// newDirectorOn listens on a host's address.
func newDirectorOn(t *testing.T, host string, agents ...string) *director {
	t.Helper()
	return newDirectorWith(t, &server.Options{Host: host}, nil, agents...)
}

// newDirectorWith has users with passwords, or when the Director has a
// certificate those of BOSH's.
func newDirectorWith(t *testing.T, o *server.Options, certificates *authority, agents ...string) *director {
	t.Helper()
	name := func(of string) string { return of }
	password := "pw"
	login := func(user string) nats.Option { return nats.UserInfo(user, password) }
	if certificates != nil {
		name, password = subjectOf, ""
		login = func(user string) nats.Option { return nats.Secure(certificates.client(t, user)) }
	}
	who := name
	user := func(name string, publish, subscribe []string) *server.User {
		return &server.User{Username: who(name), Password: password, Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: subscribe},
		}}
	}
	users := []*server.User{
		user("director", []string{"agent.*", "hm.director.alert"}, []string{"director.>"}),
		{Username: name("hm"), Password: password, Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Deny: []string{">"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"hm.agent.heartbeat.*", "hm.agent.alert.*", "hm.agent.shutdown.*", "hm.director.alert"}},
		}},
	}
	for _, id := range agents {
		users = append(users, user(id, []string{"hm.agent.heartbeat." + id, "hm.agent.alert." + id, "hm.agent.shutdown." + id, "director.*." + id + ".*"}, []string{"agent." + id}))
	}
	o.Port, o.NoSigs, o.Users = -1, true, users
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	d := &director{T: t, violations: &violations{}, beats: make(chan *nats.Msg, 1000)}
	s.SetLogger(d.violations, false, false)
	go s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not start")
	}
	d.url = s.ClientURL()
	if d.conn, err = nats.Connect(d.url, login("director")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.conn.Close)
	hm, err := nats.Connect(d.url, login("hm"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hm.Close)
	for _, kind := range []string{"heartbeat", "alert", "shutdown"} {
		if _, err := hm.ChanSubscribe("hm.agent."+kind+".*", d.beats); err != nil {
			t.Fatal(err)
		}
	}
	if err := hm.Flush(); err != nil {
		t.Fatal(err)
	}
	return d
}

// vm starts an agent as a person would without an IaaS.
func (d *director) vm(id, user string) (base string) {
	d.Helper()
	base = filepath.Join(d.TempDir(), "var", "vcap")
	if err := os.MkdirAll(filepath.Join(base, "bosh"), 0o700); err != nil {
		d.Fatal(err)
	}
	d.start(base, fmt.Sprintf(`{"agent_id":%q,"vm":{"name":"vm"},"mbus":%q,"networks":{"a":{"type":"manual","ip":"10.0.0.9","default":["gateway"]}},
"blobstore":{"provider":"local","options":{"blobstore_path":"/var/vcap/blobs"}},"disks":{"persistent":{}}}`,
		id, strings.Replace(d.url, "://", "://"+user+":pw@", 1)))
	return base
}

// start starts an agent with the settings; its log is <base>/../agent.log.
func (d *director) start(base, settings string) {
	d.Helper()
	if err := os.WriteFile(filepath.Join(base, "bosh", "settings.json"), []byte(settings), 0o600); err != nil {
		d.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(lab.Programs(d.T), "microbosh-agent"), "-c", "-I", "dummy", "-P", "rootless", "-b", base)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(agentLog(base))
	if err != nil {
		d.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func agentLog(base string) string { return filepath.Join(filepath.Dir(base), "agent.log") }

// hear waits for a message to the health monitor.
func (d *director) hear(subject string) []byte {
	d.Helper()
	for limit := time.After(time.Minute); ; {
		select {
		case m := <-d.beats:
			if m.Subject == subject {
				return m.Data
			}
		case <-limit:
			d.Fatalf("nobody says %s", subject)
		}
	}
}

// ask sends a request as the Director and follows its task as one: by polling.
func (d *director) ask(agentID, method string, args ...any) messages.AgentReply {
	d.Helper()
	reply := d.once(agentID, method, args)
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); {
		task, running := messages.TaskRunning(reply.Value)
		if !running {
			return reply
		}
		reply = d.once(agentID, "get_task", []any{task.AgentTaskID, messages.TaskWait{Wait: "10s"}})
	}
	d.Fatalf("%s does not end", method)
	return reply
}

func (d *director) once(agentID, method string, args []any) (reply messages.AgentReply) {
	d.Helper()
	inbox := messages.ReplySubject("d-uuid", agentID, nats.NewInbox()[len("_INBOX."):])
	answers, err := d.conn.SubscribeSync(inbox)
	if err != nil {
		d.Fatal(err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	if args == nil {
		args = []any{}
	}
	body, err := json.Marshal(map[string]any{"protocol": 3, "method": method, "arguments": args, "reply_to": inbox})
	if err != nil {
		d.Fatal(err)
	}
	// As the Director does, get_task is asked again, at most four times: an agent
	// that starts anew after update_settings hears nothing for a moment.
	tries, patience := 1, time.Minute
	if method == "get_task" {
		tries, patience = 5, 15*time.Second // it answers within 10 s when it hears
	}
	var m *nats.Msg
	for err = nats.ErrTimeout; errors.Is(err, nats.ErrTimeout) && tries > 0; tries-- {
		if err := d.conn.Publish(messages.AgentSubject(agentID), body); err != nil {
			d.Fatal(err)
		}
		m, err = answers.NextMsg(patience)
	}
	if err != nil {
		d.Fatalf("%s: %v", method, err)
	}
	if err := json.Unmarshal(m.Data, &reply); err != nil {
		d.Fatal(err)
	}
	return reply
}

// Every method is known and answers under exactly the Director's permissions.
func TestDirectorAndHealthMonitor(t *testing.T) {
	t.Parallel()
	d := newDirector(t, "agent-a")
	d.vm("agent-a", "agent-a")
	d.hear("hm.agent.heartbeat.agent-a")
	d.everyMethod()
	d.noViolations()
}

// everyMethod asks agent-a for each method that there is.
func (d *director) everyMethod() {
	d.Helper()
	sha := strings.Repeat("0", 40)
	cases := []struct {
		method string
		args   []any
		want   string // of the value, or after ! of the exception
	}{
		{"ping", []any{"surplus", 2}, `"pong"`},
		{"info", nil, `{"api_version":1,"renders":true}`},
		{"get_state", []any{"full"}, `"vitals"`},
		{"state", nil, `"agent_id":"agent-a"`},
		{"apply", []any{map[string]any{"deployment": "d", "job": map[string]any{"name": "j"}, "configuration_hash": ""}}, `"applied"`},
		{"prepare", []any{map[string]any{"deployment": "d"}}, `"prepared"`},
		{"start", nil, `"started"`},
		{"run_script", []any{"pre-start", map[string]any{}}, `{}`},
		{"run_errand", []any{"none"}, "!Could not find errand none"},
		{"drain", []any{"shutdown"}, `0`},
		{"stop", nil, `"stopped"`},
		{"compile_package", []any{"none", sha, "p", "1", map[string]any{}}, "!not in the blobstore"},
		{"compile_package_with_signed_url", []any{map[string]any{"name": "p"}}, "!upload_signed_url is missing"},
		{"fetch_logs", []any{"agent", []string{}}, `"blobstore_id"`},
		{"fetch_logs_with_signed_url", []any{map[string]any{"log_type": "x"}}, "!matcher for x logs not found"},
		{"bundle_logs", []any{map[string]any{"log_type": "job"}}, `"logs_tar_path"`},
		{"remove_file", []any{"/etc/passwd"}, "!only what bundle_logs made"},
		{"mount_disk", []any{"vol"}, "!Unknown persistent disk: vol"},
		{"unmount_disk", []any{"vol"}, "!Unknown persistent disk: vol"},
		{"list_disk", nil, `[]`},
		{"add_persistent_disk", []any{"vol", "/dev/sdz"}, `{}`},
		{"remove_persistent_disk", []any{"vol"}, `{}`},
		{"remove_dynamic_disk", []any{"vol"}, `{}`},
		{"ssh", []any{"setup", map[string]string{"user": "bosh_a", "public_key": "ssh-rsa A"}}, `"ip":"10.0.0.9"`},
		{"ssh", []any{"cleanup", map[string]string{"user_regex": "^bosh_a"}}, `"success"`},
		{"upload_blob", []any{map[string]any{"blob_id": "b", "checksum": sha, "payload": "eA=="}}, "!Payload corrupted. Checksum mismatch. Expected"},
		{"sync_dns", []any{"none", sha, 1}, "!not in the blobstore"},
		{"sync_dns_with_signed_url", []any{map[string]any{"signed_url": "x", "multi_digest": sha, "version": 1}}, "!getting"},
		{"delete_arp_entries", []any{map[string]any{"ips": []string{}}}, `{}`},
		{"update_settings", []any{map[string]any{}}, `"ok"`},
		{"cancel_task", []any{"none"}, "!Task with id none could not be found"},
		{"get_task", nil, "!Extracting method arguments from payload: Not enough arguments, expected 1, got 0"},
		{"release_apply_spec", nil, "!apply_spec.json"},
		{"resize", nil, "!unknown message resize"},
	}
	for _, c := range cases {
		reply := d.ask("agent-a", c.method, c.args...)
		want, refused := strings.CutPrefix(c.want, "!")
		switch {
		case refused && (reply.Exception == nil || !strings.Contains(reply.Exception.Message, want)):
			d.Errorf("%s: got %s %+v, want the exception %q", c.method, reply.Value, reply.Exception, want)
		case !refused && (reply.Exception != nil || !strings.Contains(string(reply.Value), want)):
			d.Errorf("%s: got %s %+v, want %s", c.method, reply.Value, reply.Exception, want)
		}
	}
	if got := d.hear("hm.agent.shutdown.agent-a"); string(got) != "null" {
		d.Errorf("the shutdown notice is %q", got)
	}
}

// noViolations looks into the server's log.
func (d *director) noViolations() {
	d.Helper()
	d.violations.mu.Lock()
	defer d.violations.mu.Unlock()
	if len(d.violations.all) > 0 {
		d.Errorf("the server complains: %v", d.violations.all)
	}
}

// An agent with another's name in its settings neither hears nor speaks for it.
func TestAgentsDoNotHearEachOther(t *testing.T) {
	t.Parallel()
	d := newDirector(t, "agent-a", "agent-b")
	d.vm("agent-a", "agent-a")
	d.hear("hm.agent.heartbeat.agent-a")
	thief, err := nats.Connect(d.url, nats.UserInfo("agent-b", "pw"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(thief.Close)
	heard := make(chan *nats.Msg, 100)
	for _, subject := range []string{"agent.agent-a", "agent.*", "director.>", ">", "hm.>"} {
		if _, err := thief.ChanSubscribe(subject, heard); err != nil {
			t.Fatal(err)
		}
	}
	answers, err := d.conn.SubscribeSync("director.d-uuid.agent-a.stolen")
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"director.d-uuid.agent-a.stolen", "hm.agent.heartbeat.agent-a", "hm.agent.alert.agent-a", "agent.agent-a"} {
		if err := thief.Publish(subject, []byte(`{"value":"stolen"}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := thief.Flush(); err != nil {
		t.Fatal(err)
	}
	if r := d.ask("agent-a", "ping"); string(r.Value) != `"pong"` {
		t.Errorf("got %+v", r)
	}
	if err := thief.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := len(heard); n > 0 {
		t.Errorf("an agent heard %d messages of another", n)
	}
	if n, _, err := answers.Pending(); err != nil || n > 0 {
		t.Errorf("an agent answered for another: %d %v", n, err)
	}
	for len(d.beats) > 0 {
		if m := <-d.beats; strings.Contains(string(m.Data), "stolen") {
			t.Errorf("an agent spoke for another on %s", m.Subject)
		}
	}
}
