package main_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/microbosh/microbosh/pkg/bus"
	"github.com/microbosh/microbosh/pkg/messages"
)

// The whole life of a VM's agent, with a Director at the other end of a bus.
func TestLife(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	first := v.beat("")
	if first.JobState != "running" || first.Job != nil || first.Vitals == nil || len(first.Vitals.Load) != 3 {
		t.Errorf("the first heartbeat: %+v", first)
	}
	v.want(v.call("ping", "surplus", 2), `"pong"`)
	v.want(v.call("info"), `{"api_version":1,"renders":true}`)

	// The disk comes after it is asked for.
	v.want(v.run("add_persistent_disk", "", "vol-1", "/dev/sdc"), `{}`)
	v.want(v.run("list_disk", ""), `[]`)
	mounting := v.answer("mount_disk", v.ask("mount_disk", "uid12345-mount_disk-1", "vol-1"))
	folder := v.attach("vol-1", "sdc")
	task, ok := messages.TaskRunning(mounting.Value)
	if !ok {
		t.Fatalf("mount_disk: %+v", mounting)
	}
	v.want(v.call("get_task", task.AgentTaskID, messages.TaskWait{Wait: "50s"}), `{}`)
	if store, err := os.Readlink(filepath.Join(v.base, "store")); err != nil || store != folder {
		t.Errorf("store leads to %q %v, want %q", store, err, folder)
	}
	v.want(v.run("list_disk", ""), `["vol-1"]`)

	v.want(v.run("apply", "uid12345-apply-1", v.spec(nil)), `"applied"`)
	v.want(v.call("start"), `"started"`)
	if b := v.beat("running"); b.Job == nil || *b.Job != "bosh" || b.Deployment != "micro" || b.NumberOfProcesses != 1 {
		t.Errorf("the heartbeat after the start: %+v", b)
	}
	v.healthy(`{"state":"running"}`)
	state := decode[struct {
		Deployment string                      `json:"deployment"`
		AgentID    string                      `json:"agent_id"`
		JobState   string                      `json:"job_state"`
		VM         messages.SettingsVM         `json:"vm"`
		Networks   map[string]messages.Network `json:"networks"`
		Vitals     *messages.Vitals            `json:"vitals"`
		Processes  []struct{ Name, State string }
	}](t, v.call("get_state", "full").Value)
	if state.JobState != "running" || state.AgentID != agentID || state.VM.Name != "vm-1" || state.Vitals == nil ||
		state.Networks["bosh"].IP != "127.9.0.7" || len(state.Processes) != 1 || state.Processes[0].State != "running" {
		t.Errorf("get_state: %+v", state)
	}
	if state.Vitals != nil && state.Vitals.Disk["persistent"].Percent == "" {
		t.Errorf("the mounted disk is not measured: %+v", state.Vitals.Disk)
	}

	pidFile := filepath.Join(v.base, "sys", "run", "web", "web.pid")
	before := readPID(pidFile)
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	v.beat("failing")
	v.beat("running")
	alert := <-v.alerts
	if alert.Severity != 1 || alert.Title != "web (127.9.0.7) - does not exist - restart" {
		t.Errorf("the alert: %+v", alert)
	}
	if after := readPID(pidFile); after == before || syscall.Kill(after, 0) != nil {
		t.Errorf("web was %d and is %d", before, after)
	}

	v.want(v.run("stop", ""), `"stopped"`)
	v.beat("stopped")
	v.healthy(`{"state":"stopped"}`)
	if _, err := os.Stat(pidFile); err == nil {
		t.Error("the stop program did not run")
	}
	unmounted := v.run("unmount_disk", "", "vol-1")
	v.want(unmounted, `{"message":"Unmounted /dev/sdc on `+filepath.Join(v.base, "store")+`"}`)
	v.want(v.run("list_disk", ""), `[]`)
	v.recorded("update_hostname", "update_passwords", "update_time", "setup_networking", "setup_data_disk",
		"setup_data_sys", "setup_tmp", "harden_permissions", "mount_disk", "setup_logrotate")
	v.noSecrets("secret-hash", "secret-of-registry")
	v.want(v.call("shutdown"), `""`)
	select {
	case err := <-v.ended:
		v.ended <- err
		if err != nil {
			t.Errorf("after shutdown the agent ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("the agent did not end after shutdown")
	}
}

// healthy compares what is told on the VM.
func (v *vm) healthy(want string) {
	v.Helper()
	file := filepath.Join(v.base, "instance", "health.json")
	text, err := os.ReadFile(file)
	if err != nil || string(text) != want {
		v.Errorf("%s: %s %v, want %s", file, text, err, want)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm() != 0o644 {
		v.Errorf("%s: %v, jobs cannot read it", file, info.Mode())
	}
}

func (v *vm) recorded(steps ...string) {
	v.Helper()
	for _, step := range steps {
		text, err := os.ReadFile(filepath.Join(v.base, "bosh", "recorded", step+".json"))
		if err != nil {
			v.Error(err)
			continue
		}
		got := decode[struct{ Step string }](v.T, text)
		if got.Step != step {
			v.Errorf("%s recorded %s", step, text)
		}
	}
}

// noSecrets looks for what no log and no record may hold.
func (v *vm) noSecrets(secrets ...string) {
	v.Helper()
	files, _ := filepath.Glob(filepath.Join(v.base, "bosh", "recorded", "*"))
	for _, file := range append(files, v.logFile()) {
		text, err := os.ReadFile(file)
		if err != nil {
			v.Fatal(err)
		}
		for _, secret := range secrets {
			if strings.Contains(string(text), secret) {
				v.Errorf("%s holds the secret %q", file, secret)
			}
		}
	}
}

// A job's hook says that apply is half done and waits; then the power fails.
func TestKilledInTheMiddleOfApply(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	spec := v.spec(map[string]string{
		"job.MF":            "---\nname: web\ntemplates:\n  ctl.sh: bin/ctl\n  hook.sh: bin/post_install\n",
		"templates/hook.sh": "#!/bin/sh\ncd \"$(dirname \"$0\")/../../..\"\ngate=$(cat gate)\necho here > begun\ncat $gate\n",
	})
	// Each run has its own gate: the hook of the killed run stays at the first.
	begun := filepath.Join(v.base, "begun")
	gates := [2]string{filepath.Join(v.base, "gate-1"), filepath.Join(v.base, "gate-2")}
	for _, pipe := range []string{begun, gates[0], gates[1]} {
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	shut := func(gate string) {
		if err := os.WriteFile(filepath.Join(v.base, "gate"), []byte(gate), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open := func(gate string) {
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	shut(gates[0])
	const step = "uid12345-apply-1"
	first, ok := messages.TaskRunning(v.answer("apply", v.ask("apply", step, spec)).Value)
	if !ok {
		t.Fatal("apply is no task")
	}
	v.read(begun)
	// Nothing that only asks waits behind it.
	v.want(v.call("ping"), `"pong"`)
	if again, ok := messages.TaskRunning(v.answer("apply", v.ask("apply", step, spec)).Value); !ok || again != first {
		t.Errorf("a repeat got %+v, want %+v", again, first)
	}
	v.kill()
	open(gates[0]) // the hook of the killed run ends
	shut(gates[1])

	v.boot()
	v.beat("")
	v.refused(v.call("get_task", first.AgentTaskID), "interrupted")
	again, ok := messages.TaskRunning(v.answer("apply", v.ask("apply", step, spec)).Value)
	if !ok || again != first {
		t.Errorf("the repeat got %+v, want %+v", again, first)
	}
	v.read(begun)
	waiting := v.ask("get_task", "", first.AgentTaskID, messages.TaskWait{Wait: "50s"})
	v.want(v.call("ping"), `"pong"`)
	select {
	case r := <-waiting:
		t.Errorf("get_task did not wait: %+v", r)
	default:
	}
	open(gates[1])
	v.want(v.answer("get_task", waiting), `"applied"`)

	v.kill()
	v.boot()
	v.beat("")
	if r := v.answer("apply", v.ask("apply", step, spec)); r.Exception != nil {
		t.Errorf("a repeat after the end: %+v", r.Exception)
	}
	v.want(v.call("get_task", first.AgentTaskID), `"applied"`)
	v.want(v.call("start"), `"started"`)
	pid := readPID(filepath.Join(v.base, "sys", "run", "web", "web.pid"))

	// The job outlives the agent and is taken up again.
	v.kill()
	v.boot()
	v.beat("running")
	if now := readPID(filepath.Join(v.base, "sys", "run", "web", "web.pid")); now != pid || syscall.Kill(pid, 0) != nil {
		t.Errorf("web was %d and is %d", pid, now)
	}
	v.want(v.run("stop", ""), `"stopped"`)
}

func (v *vm) read(pipe string) {
	v.Helper()
	read := make(chan error, 1)
	go func() {
		_, err := os.ReadFile(pipe)
		read <- err
	}()
	select {
	case err := <-read:
		if err != nil {
			v.Fatal(err)
		}
	case <-time.After(patience):
		v.Fatalf("nobody wrote to %s", pipe)
	}
}

func TestGarbageLeavesItServing(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	strays := make(chan bus.Msg, 100)
	for _, subject := range []string{"director.d-1.agent-2.1", "victim.>", "agent.other", "hm.agent.shutdown.*"} {
		v.listen(subject, func(m bus.Msg) { strays <- m })
	}
	ping := func(reply string) string {
		body, err := json.Marshal(messages.AgentRequest{Method: "ping", ReplyTo: reply})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for _, body := range []string{
		"", "null", "[]", `"ping"`, "{", "{}", `{"method":7}`, `{"method":"ping"}`, "\x00\xff\xfe",
		`{"method":"ping","arguments":{},"reply_to":"director.d-1.agent-1.1"}`,
		strings.Repeat("[", 100_000), `{"method":"` + strings.Repeat("x", 500_000) + `"}`,
		ping("director.d-1.agent-2.1"), ping("victim.1"), ping("agent.other"), ping("director.*.agent-1.1"),
		ping("director.d-1.agent-1.1.2"), ping("director..agent-1.1"), ping("director.d-1.agent-1."),
	} {
		if err := v.conn.Publish(messages.AgentSubject(agentID), []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	v.want(v.call("ping"), `"pong"`)
	v.refused(v.call("no_such_method", 1), "unknown message no_such_method")
	v.refused(v.call("get_task"), "Action Failed get_task: Extracting method arguments from payload: Not enough arguments, expected 1, got 0")
	v.refused(v.call("get_task", "none"), "Action Failed get_task: Task with id none could not be found")
	v.refused(v.run("apply", "", "no spec"), "Hash expected")
	v.refused(v.run("apply", "", map[string]any{
		"deployment": "m", "configuration_hash": "x",
		"job": map[string]any{"name": "j", "templates": []any{map[string]any{"name": "../../evil", "version": "1", "sha1": "x", "blobstore_id": "y"}}},
	}), "not usable as a file name")
	v.refused(v.run("mount_disk", "", "vol-9"), "Unknown persistent disk: vol-9")
	v.refused(v.run("add_persistent_disk", "", "vol-9", "/dev/../etc"), "is no device")
	v.refused(v.run("run_script", "", "../../bin/sh"), "is no script")
	if err := v.conn.Flush(v.ctx()); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-strays:
		t.Errorf("an answer went astray to %s: %s", m.Subject, m.Data)
	default:
	}
}

func TestTermEndsTheAgentAndNotTheJob(t *testing.T) {
	t.Parallel()
	v := newVM(t)
	v.boot()
	v.beat("")
	v.want(v.run("apply", "", v.spec(nil)), `"applied"`)
	v.want(v.call("start"), `"started"`)
	pid := readPID(filepath.Join(v.base, "sys", "run", "web", "web.pid"))
	if err := v.agent.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-v.ended; err != nil {
		t.Errorf("the agent ended with %v", err)
	}
	v.agent = nil
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		t.Error("the job ended with the agent")
	}
}
