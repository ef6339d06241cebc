package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/bus/bustest"
	"github.com/microbosh/microbosh/pkg/messages"
	"github.com/microbosh/microbosh/test/killpoint"
)

const (
	agentID  = "agent-1"
	patience = time.Minute
)

// binary is the agent, built once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "microbosh-agent")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "microbosh-agent")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	killpoint.Launch()
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// vm is a machine with an agent, and what a Director needs to talk to it.
type vm struct {
	*testing.T
	base     string
	metadata string
	mbus     string         // what the settings say
	env      map[string]any // more of the settings' env.bosh
	address  string         // what the metadata service calls the VM's own
	args     []string       // more of the agent's
	bus      *bustest.Bus
	conn     *bus.Conn

	stopMetadata func()

	beats  chan messages.Heartbeat
	alerts chan messages.Alert

	agent   *exec.Cmd
	ended   chan error
	watched bool               // the agent is started so that it can be killed at a change
	changes *killpoint.Process // of the agent that was started last, when watched

	requests atomic.Int64
	mu       sync.Mutex // guards what follows
	served   struct {   // env and address as they were at the last start
		env     map[string]any
		address string
	}
	replies map[string]chan messages.AgentReply
}

func newVM(t *testing.T) *vm {
	t.Helper()
	b := bustest.Start(t)
	v := newVMOn(t, b.Connect(t, "director"), b.URL())
	v.bus = b
	return v
}

// newVMOn makes a machine whose settings name the mbus; conn is the Director's.
func newVMOn(t *testing.T, conn *bus.Conn, mbus string) *vm {
	t.Helper()
	v := &vm{
		T: t, base: filepath.Join(t.TempDir(), "var", "vcap"), conn: conn, mbus: mbus,
		beats: make(chan messages.Heartbeat, 1000), alerts: make(chan messages.Alert, 1000),
		replies: map[string]chan messages.AgentReply{},
	}
	v.listen("hm.agent.heartbeat.*", func(m bus.Msg) { v.beats <- decode[messages.Heartbeat](t, m.Data) })
	v.listen("hm.agent.alert.*", func(m bus.Msg) { v.alerts <- decode[messages.Alert](t, m.Data) })
	v.listen("director.d-1.>", func(m bus.Msg) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if waiting, ok := v.replies[m.Subject]; ok {
			waiting <- decode[messages.AgentReply](t, m.Data)
		}
	})
	v.serveMetadata()
	t.Cleanup(v.end)
	return v
}

func decode[T any](t *testing.T, data []byte) (out T) {
	if err := json.Unmarshal(data, &out); err != nil {
		t.Errorf("cannot read %s: %v", data, err)
	}
	return out
}

func (v *vm) listen(subject string, handler func(bus.Msg)) {
	v.Helper()
	stop, err := v.conn.Subscribe(v.ctx(), subject, handler)
	if err != nil {
		v.Fatal(err)
	}
	v.Cleanup(stop)
}

func (v *vm) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	v.Cleanup(cancel)
	return ctx
}

func (v *vm) serveMetadata() {
	settings := map[string]any{
		"registry": map[string]any{"endpoint": "http://admin:secret-of-registry@127.0.0.1:1"},
		"server":   map[string]any{"name": "vm-1"},
		"agent_id": agentID, "vm": map[string]any{"name": "vm-1"}, "mbus": v.mbus, "ntp": []string{"0.pool.ntp.org"},
		"blobstore": map[string]any{"provider": "local", "options": map[string]any{"blobstore_path": "/var/vcap/micro_bosh/data/cache"}},
		"networks": map[string]any{"bosh": map[string]any{
			"type": "dynamic", "ip": "127.9.0.7", "netmask": "255.255.255.0", "gateway": "127.9.0.1", "default": []string{"dns", "gateway"},
		}},
		"disks": map[string]any{"system": "/dev/sda", "persistent": map[string]any{}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		switch {
		case r.URL.Path == "/latest/meta-data/local-ipv4" && v.served.address != "":
			fmt.Fprint(w, v.served.address)
			return
		case r.URL.Path != "/latest/user-data":
			http.NotFound(w, r)
			return
		}
		env := map[string]any{"password": "$6$secret-hash"}
		maps.Copy(env, v.served.env)
		settings["env"] = map[string]any{"bosh": env}
		_ = json.NewEncoder(w).Encode(settings)
	}))
	v.Cleanup(server.Close)
	v.metadata, v.stopMetadata = server.URL, server.Close
}

// boot starts the agent and lets only its own heartbeats be heard from then on.
func (v *vm) boot() {
	v.Helper()
	// What comes after this one is said by the new agent.
	const marker = "marker"
	if err := v.conn.Publish(messages.HeartbeatSubject(agentID), []byte(`{"job_state":"`+marker+`"}`)); err != nil {
		v.Fatal(err)
	}
	v.beat(marker)
	v.start()
}

// start starts the agent; its words go to <base>/../agent.log.
func (v *vm) start() {
	v.Helper()
	v.mu.Lock()
	v.served.env, v.served.address = v.env, v.address
	v.mu.Unlock()
	path, err := binary()
	if err != nil {
		v.Fatal(err)
	}
	if err := os.MkdirAll(v.base, 0o700); err != nil {
		v.Fatal(err)
	}
	log, err := os.OpenFile(v.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		v.Fatal(err)
	}
	defer log.Close()
	args := append([]string{"-c", "-I", "openstack", "-P", "rootless", "-b", v.base, "--metadata", v.metadata}, v.args...)
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if v.watched {
		v.changes = killpoint.Start(v.T, cmd, 0)
	} else if err := cmd.Start(); err != nil {
		v.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	v.agent, v.ended = cmd, ended
}

func (v *vm) logFile() string { return filepath.Join(filepath.Dir(v.base), "agent.log") }

// kill ends the agent as a power cut would.
func (v *vm) kill() {
	v.Helper()
	if err := v.agent.Process.Kill(); err != nil {
		v.Fatal(err)
	}
	<-v.ended
	v.agent, v.ended = nil, nil
}

// end leaves no process behind and shows the log of a failed test.
func (v *vm) end() {
	if v.agent != nil {
		_ = v.agent.Process.Kill()
		<-v.ended
	}
	pids, _ := filepath.Glob(filepath.Join(v.base, "data", "sys", "run", "*", "*.pid"))
	for _, file := range pids {
		if pid := readPID(file); pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if v.Failed() {
		log, _ := os.ReadFile(v.logFile())
		v.Logf("the agent's log:\n%s", log)
	}
}

func readPID(file string) int {
	text, _ := os.ReadFile(file)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// beat waits for a heartbeat that says the state; "" is any.
func (v *vm) beat(state string) messages.Heartbeat {
	v.Helper()
	limit := time.After(patience)
	for {
		select {
		case b := <-v.beats:
			if state == "" || b.JobState == state {
				return b
			}
		case err := <-v.ended:
			v.ended <- err
			v.agent = nil
			v.Fatalf("the agent ended: %v", err)
		case <-limit:
			v.Fatalf("no heartbeat says %q", state)
		}
	}
}

// ask sends a request; the answer comes on the channel.
func (v *vm) ask(method, stepID string, args ...any) <-chan messages.AgentReply {
	v.Helper()
	req := messages.AgentRequest{
		Protocol: 3, Method: method, Arguments: []json.RawMessage{}, StepID: stepID,
		ReplyTo: messages.ReplySubject("d-1", agentID, strconv.FormatInt(v.requests.Add(1), 10)),
	}
	for _, arg := range args {
		raw, err := json.Marshal(arg)
		if err != nil {
			v.Fatal(err)
		}
		req.Arguments = append(req.Arguments, raw)
	}
	body, err := json.Marshal(req)
	if err != nil {
		v.Fatal(err)
	}
	reply := make(chan messages.AgentReply, 1)
	v.mu.Lock()
	v.replies[req.ReplyTo] = reply
	v.mu.Unlock()
	if err := v.conn.Publish(messages.AgentSubject(agentID), body); err != nil {
		v.Fatal(err)
	}
	return reply
}

func (v *vm) answer(what string, from <-chan messages.AgentReply) messages.AgentReply {
	v.Helper()
	select {
	case r := <-from:
		return r
	case <-time.After(patience):
		v.Fatalf("%s was not answered", what)
		return messages.AgentReply{}
	}
}

func (v *vm) call(method string, args ...any) messages.AgentReply {
	v.Helper()
	return v.answer(method, v.ask(method, "", args...))
}

// run sends an asynchronous request and waits for the task's end.
func (v *vm) run(method, stepID string, args ...any) messages.AgentReply {
	v.Helper()
	first := v.answer(method, v.ask(method, stepID, args...))
	t, ok := messages.TaskRunning(first.Value)
	if !ok {
		return first
	}
	return v.call("get_task", t.AgentTaskID, messages.TaskWait{Wait: "50s"})
}

// want checks a value.
func (v *vm) want(got messages.AgentReply, want string) {
	v.Helper()
	if got.Exception != nil {
		v.Fatalf("refused: %s", got.Exception.Message)
	}
	if string(got.Value) != want {
		v.Fatalf("got %s, want %s", got.Value, want)
	}
}

// refused checks an exception.
func (v *vm) refused(got messages.AgentReply, want string) {
	v.Helper()
	if got.Exception == nil || !strings.Contains(got.Exception.Message, want) {
		v.Fatalf("got %s %+v, want an exception with %q", got.Value, got.Exception, want)
	}
}

// attach shows a volume as a device.
func (v *vm) attach(volume, device string) (folder string) {
	v.Helper()
	folder = filepath.Join(v.TempDir(), volume)
	dev := filepath.Join(filepath.Dir(filepath.Dir(v.base)), "dev")
	for _, dir := range []string{folder, dev} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			v.Fatal(err)
		}
	}
	if err := os.Symlink(folder, filepath.Join(dev, device)); err != nil {
		v.Fatal(err)
	}
	return folder
}

// within waits a Director's second for the answer of a sync request.
func (v *vm) within(method string) (messages.AgentReply, bool) {
	v.Helper()
	select {
	case r := <-v.ask(method, ""):
		return r, true
	case <-time.After(time.Second):
		return messages.AgentReply{}, false
	}
}
